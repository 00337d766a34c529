"""File stores: folders and S3-compatible buckets that an installation configures by name, read-only.

CANOPY_FILES_<NAME> is /an/absolute/folder, or s3://bucket/prefix?endpoint=https://…&region=… where workers run; the
credentials of a bucket are CANOPY_FILES_<NAME>_KEY_ID and CANOPY_FILES_<NAME>_SECRET. Batches and forms hold only the
name.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import Field

from orchestration.extras import how_to_install
from orchestration.processors.config_names import config_name, configured
from orchestration.processors.data.files import PART_BYTES, FileStore, NoSuchFile, OpenFile, StoreFailed, StoreMissing
from orchestration.processors.secrets import register_secret

FILE_STORE_PREFIX = "CANOPY_FILES_"

StoreName = Annotated[str, Field(title="File store", max_length=100), config_name("a file store", "ARCHIVE")]


@dataclass(frozen=True)
class Folder:
    """A folder of this machine with its subfolders. Symbolic links that lead out of it are not followed."""

    base: Path

    def open(self, path: str) -> OpenFile:
        """Open a file for reading. Raises NoSuchFile, StoreFailed."""
        base = self.base.resolve()
        try:
            found = (base / path.lstrip("/")).resolve()
            if not found.is_relative_to(base) or not found.is_file():
                raise NoSuchFile(f"There is no file {path!r}.")
            return OpenFile(found.stat().st_size, _file_parts(found))
        except (OSError, ValueError) as error:
            raise StoreFailed(f"{path!r}: {error}") from error


def _file_parts(path: Path) -> Generator[bytes, None, None]:
    with path.open("rb") as file:
        while part := file.read(PART_BYTES):
            yield part


def file_store(name: str) -> FileStore:
    """Return a store by its name. Raises StoreMissing."""
    location = configured(FILE_STORE_PREFIX, name)
    if not location:
        raise StoreMissing(f"There is no file store {name}: {FILE_STORE_PREFIX}{name} is not set on this worker.")
    if location.startswith("/"):
        return Folder(Path(location))
    key, secret = (configured(FILE_STORE_PREFIX, f"{name}_{part}") or "" for part in ("KEY_ID", "SECRET"))
    if secret:
        register_secret(secret)
    try:
        return _bucket(location, key, secret)
    except ValueError:
        raise StoreMissing(f"{FILE_STORE_PREFIX}{name} is neither an absolute folder nor an s3:// address.") from None
    except ModuleNotFoundError:
        raise StoreMissing(
            f"{FILE_STORE_PREFIX}{name} is a bucket; this worker has no client of one. Run: {how_to_install('s3')}"
        ) from None


@lru_cache
def _bucket(url: str, key: str, secret: str) -> FileStore:
    """Return a bucket, whose connections all batches of this worker share. Raises ValueError, ModuleNotFoundError."""
    from orchestration.processors.data.buckets import bucket  # of the extra `s3`

    return bucket(url, key, secret)


@contextmanager
def open_file(name: str, path: str) -> Iterator[OpenFile]:
    """Open a file of a store for reading. Raises StoreMissing, NoSuchFile, StoreFailed."""
    found = file_store(name).open(path)
    with closing(found.parts):
        yield found
