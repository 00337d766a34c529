"""S3-compatible buckets: files of one, and a client of it. Of the extra `s3`: it is imported where it is used."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from orchestration.processors.data.files import PART_BYTES, NoSuchFile, OpenFile, StoreFailed
from orchestration.processors.secrets import mask

if TYPE_CHECKING:
    from obstore.store import S3Credential


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


def s3_store(url: str, key: str, secret: str, *, ambient: bool = False) -> S3Store:
    """Return a client of s3://bucket/prefix?endpoint=…&region=…. Raises ValueError for what is no such address.

    Without a key nothing is signed, or with `ambient` by what the environment gives a client of AWS.
    """
    split = urlsplit(url)
    if split.scheme != "s3" or not split.netloc:
        raise ValueError(url)
    options = {name: values[-1] for name, values in parse_qs(split.query).items()}
    if unknown := set(options) - {"endpoint", "region"}:
        raise ValueError(unknown)
    endpoint = options.get("endpoint")
    try:
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
    except BaseError:
        raise ValueError(url) from None


def _credential(key: str, secret: str) -> S3Credential:
    """Return the configured credential and nothing of AWS_SESSION_TOKEN, which the client would take from the worker.

    The client follows redirects. What is signed stays behind when it goes to another host or port, a token does not.
    """
    return {"access_key_id": key, "secret_access_key": secret, "token": None, "expires_at": None}
