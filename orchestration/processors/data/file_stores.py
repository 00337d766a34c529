"""File stores: folders and S3-compatible buckets that an installation configures by name, for reading.

CANOPY_FILES_<NAME> is /an/absolute/folder, or s3://bucket/prefix?endpoint=https://…&region=… where workers run, with
CANOPY_FILES_<NAME>_KEY_ID and CANOPY_FILES_<NAME>_SECRET beside it. Batches and forms have the name alone.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Protocol
from urllib.parse import parse_qs, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store
from pydantic import Field

from orchestration.processors.config_names import NAME, named
from orchestration.processors.secrets import keep_secret, mask

VARIABLE = "CANOPY_FILES_"
PART = 1024 * 1024

StoreName = Annotated[str, Field(title="File store", max_length=100), named("a file store", "ARCHIVE")]


class StoreMissing(LookupError):
    """A file store that was named is not configured where the worker runs."""


class NoSuchFile(LookupError):
    """The store has no file at a path, or the path leads out of it."""


class StoreFailed(Exception):
    """The store did not answer as it should: another attempt may help."""


@dataclass(frozen=True)
class Opened:
    """A file: its size in bytes, and its content in parts."""

    size: int
    parts: Generator[bytes, None, None]


class FileStore(Protocol):
    """Where files lie."""

    def open(self, path: str) -> Opened:
        """Open a file for reading. Raises NoSuchFile, StoreFailed."""
        ...


@dataclass(frozen=True)
class Folder:
    """A folder of this machine, and what lies below it; links that lead out of it are not followed."""

    base: Path

    def open(self, path: str) -> Opened:
        """Open a file for reading. Raises NoSuchFile, StoreFailed."""
        base = self.base.resolve()
        try:
            found = (base / path.lstrip("/")).resolve()
            if not found.is_relative_to(base) or not found.is_file():
                raise NoSuchFile(f"There is no file {path!r}.")
            return Opened(found.stat().st_size, _parts(found))
        except (OSError, ValueError) as error:
            raise StoreFailed(f"{path!r}: {error}") from error


def _parts(path: Path) -> Generator[bytes, None, None]:
    with path.open("rb") as file:
        while part := file.read(PART):
            yield part


@dataclass(frozen=True)
class Bucket:
    """A bucket, or what lies below a prefix of one."""

    store: S3Store

    def open(self, path: str) -> Opened:
        """Open an object for reading. Raises NoSuchFile, StoreFailed."""
        try:
            found = obstore.get(self.store, path.lstrip("/"))
            return Opened(found.meta["size"], _guarded(path, found))
        except FileNotFoundError:
            raise NoSuchFile(f"There is no object {path!r}.") from None
        except ValueError as error:
            raise NoSuchFile(f"{path!r} is not a valid object key: {error}") from None
        except BaseError as error:
            raise _failed(path, error) from None


def _guarded(path: str, found: obstore.GetResult) -> Generator[bytes, None, None]:
    try:
        for part in found.stream(min_chunk_size=PART):
            yield bytes(part)
    except BaseError as error:
        raise _failed(path, error) from None


def _failed(path: str, error: BaseError) -> StoreFailed:
    """Return the error in one line: a client's own has its whole state below it, keys included."""
    return StoreFailed(mask(f"{path!r}: {str(error).strip().splitlines()[0][:300]}"))


def file_store(name: str) -> FileStore:
    """Return a store by its name. Raises StoreMissing."""
    given = os.environ.get(VARIABLE + name, "")
    if not NAME.fullmatch(name) or not given:
        raise StoreMissing(f"There is no file store {name}: {VARIABLE}{name} is not set on this worker.")
    if given.startswith("/"):
        return Folder(Path(given))
    key, secret = (os.environ.get(f"{VARIABLE}{name}_{part}", "") for part in ("KEY_ID", "SECRET"))
    if secret:
        keep_secret(secret)
    try:
        return _bucket(given, key, secret)
    except (ValueError, BaseError):
        raise StoreMissing(f"{VARIABLE}{name} is neither an absolute folder nor an s3:// address.") from None


@lru_cache
def _bucket(url: str, key: str, secret: str) -> Bucket:
    """Return a bucket, whose connections all batches of this worker share. Raises ValueError."""
    split = urlsplit(url)
    if split.scheme != "s3" or not split.netloc:
        raise ValueError(url)
    options = {name: values[-1] for name, values in parse_qs(split.query).items()}
    if unknown := set(options) - {"endpoint", "region"}:
        raise ValueError(unknown)
    endpoint = options.get("endpoint")
    store = S3Store(
        split.netloc,
        prefix=split.path.strip("/") or None,
        access_key_id=key or None,
        secret_access_key=secret or None,
        skip_signature=not key,
        region=options.get("region", "us-east-1"),
        endpoint=endpoint,
        virtual_hosted_style_request=not endpoint,
        client_options={"allow_http": bool(endpoint and endpoint.startswith("http://"))},
    )
    return Bucket(store)


@contextmanager
def opened(name: str, path: str) -> Iterator[Opened]:
    """Hold a file of a store open. Raises StoreMissing, NoSuchFile, StoreFailed."""
    found = file_store(name).open(path)
    with closing(found.parts):
        yield found
