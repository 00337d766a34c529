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
from typing import TYPE_CHECKING, Annotated, Protocol
from urllib.parse import parse_qs, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store
from pydantic import Field

from orchestration.processors.config_names import config_name, configured
from orchestration.processors.secrets import mask, register_secret

if TYPE_CHECKING:
    from obstore.store import S3Credential

FILE_STORE_PREFIX = "CANOPY_FILES_"
PART_BYTES = 1024 * 1024

StoreName = Annotated[str, Field(title="File store", max_length=100), config_name("a file store", "ARCHIVE")]


class StoreMissing(LookupError):
    """The file store is not configured where the worker runs."""


class NoSuchFile(LookupError):
    """The store has no file at the path, or the path is outside of it."""


class StoreFailed(Exception):
    """The store did not answer, or with an error. A retry may succeed."""


@dataclass(frozen=True)
class OpenFile:
    """A file opened for reading: its size in bytes, and its content in parts of at most PART_BYTES or so."""

    size: int
    parts: Generator[bytes, None, None]


class FileStore(Protocol):
    """A folder or bucket to read files from."""

    def open(self, path: str) -> OpenFile:
        """Open a file for reading. Raises NoSuchFile, StoreFailed."""
        ...


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


@dataclass(frozen=True)
class Bucket:
    """A bucket, or the objects below a prefix of it."""

    store: S3Store

    def open(self, path: str) -> OpenFile:
        """Open an object for reading. Raises NoSuchFile, StoreFailed."""
        try:
            found = obstore.get(self.store, path.lstrip("/"))
            return OpenFile(found.meta["size"], _object_parts(path, found))
        except FileNotFoundError:
            raise NoSuchFile(f"There is no object {path!r}.") from None
        except ValueError as error:
            raise NoSuchFile(f"{path!r} is not a valid object key: {error}") from None
        except BaseError as error:
            raise _store_failure(path, error) from None


def _object_parts(path: str, found: obstore.GetResult) -> Generator[bytes, None, None]:
    try:
        for part in found.stream(min_chunk_size=PART_BYTES):
            yield bytes(part)
    except BaseError as error:
        raise _store_failure(path, error) from None


def _store_failure(path: str, error: BaseError) -> StoreFailed:
    """Return the error's first line: the client appends its whole state to it, keys included."""
    return StoreFailed(f"{path!r}: {mask(str(error).strip().splitlines()[0])[:300]}")


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
    except (ValueError, BaseError):
        raise StoreMissing(f"{FILE_STORE_PREFIX}{name} is neither an absolute folder nor an s3:// address.") from None


@lru_cache
def _bucket(url: str, key: str, secret: str) -> Bucket:
    """Return a bucket, whose connections all batches of this worker share. Raises ValueError for an invalid URL."""
    return Bucket(s3_store(url, key, secret))


def s3_store(url: str, key: str, secret: str, *, ambient: bool = False) -> S3Store:
    """Return a client of s3://bucket/prefix?endpoint=…&region=…. Raises ValueError for an invalid URL.

    Without a key nothing is signed, or with `ambient` by what the environment gives a client of AWS.
    """
    split = urlsplit(url)
    if split.scheme != "s3" or not split.netloc:
        raise ValueError(url)
    options = {name: values[-1] for name, values in parse_qs(split.query).items()}
    if unknown := set(options) - {"endpoint", "region"}:
        raise ValueError(unknown)
    endpoint = options.get("endpoint")
    return S3Store(
        split.netloc,
        prefix=split.path.strip("/") or None,
        credential_provider=(lambda: _credential(key, secret)) if key else None,
        skip_signature=not key and not ambient,
        region=options.get("region", "us-east-1"),
        endpoint=endpoint,
        virtual_hosted_style_request=not endpoint,
        client_options={"allow_http": bool(endpoint and endpoint.startswith("http://"))},
    )


def _credential(key: str, secret: str) -> S3Credential:
    """Return the configured credential and nothing of AWS_SESSION_TOKEN, which the client would take from the worker.

    The client follows redirects. What is signed stays behind when it goes to another host or port, a token does not.
    """
    return {"access_key_id": key, "secret_access_key": secret, "token": None, "expires_at": None}


@contextmanager
def open_file(name: str, path: str) -> Iterator[OpenFile]:
    """Open a file of a store for reading. Raises StoreMissing, NoSuchFile, StoreFailed."""
    found = file_store(name).open(path)
    with closing(found.parts):
        yield found
