"""S3-compatible buckets: files of one, and a client of it. Of the extra `s3`: it is imported where it is used."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import httpx
import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from orchestration.network.authorities import tls_context
from orchestration.network.proxies import proxy_for
from orchestration.processors.data.files import PART_BYTES, NoSuchFile, OpenFile, StoreFailed
from orchestration.processors.secrets import mask

if TYPE_CHECKING:
    from obstore.store import S3Credential


SIGNED_FOR = timedelta(minutes=15)
"""How long a signed address holds, beginning with the request for it."""

TIMEOUT = 30.0
"""Seconds for a connection, and for each part of an answer."""


@dataclass(frozen=True)
class Bucket:
    """A bucket, or the objects below a prefix of it, whose requests go to its endpoint and nowhere else.

    obstore's client follows redirects to wherever an answer says, so it only makes and signs the addresses.
    """

    store: S3Store
    is_signed: bool
    client: httpx.Client

    def open(self, path: str) -> OpenFile:
        """Open an object for reading. Raises NoSuchFile, StoreFailed."""
        try:
            url = obstore.sign(self.store, "GET", path.lstrip("/"), SIGNED_FOR)
        except (TypeError, ValueError):  # so it calls a path with dots or without a name
            raise NoSuchFile(f"{path!r} is not a valid object key.") from None
        except BaseError as error:
            raise StoreFailed(f"{path!r}: {_first_line(error)}") from None
        request = self.client.build_request("GET", url if self.is_signed else url.partition("?")[0])
        try:
            answer = self.client.send(request, stream=True)
        except httpx.HTTPError as error:
            raise StoreFailed(f"{path!r}: {_first_line(error)}") from None
        if answer.status_code == httpx.codes.OK and (size := answer.headers.get("Content-Length", "")).isdigit():
            return OpenFile(int(size), _object_parts(path, answer))
        answer.close()
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise NoSuchFile(f"There is no object {path!r}.")
        redirects = " Redirects are not followed: name the right endpoint and region." if answer.is_redirect else ""
        raise StoreFailed(f"{path!r}: the store answered {answer.status_code} {answer.reason_phrase}.{redirects}")


def _object_parts(path: str, answer: httpx.Response) -> Generator[bytes, None, None]:
    try:
        with closing(answer):
            yield from answer.iter_raw(PART_BYTES)
    except httpx.HTTPError as error:
        raise StoreFailed(f"{path!r}: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    """Return an error's first line: the client of S3 appends its whole state to it, keys included."""
    lines = mask(str(error)).strip().splitlines()
    return str(lines[0])[:300] if lines else type(error).__name__


def bucket(url: str, key: str, secret: str) -> Bucket:
    """Return the bucket at s3://bucket/prefix?endpoint=…&region=…. Raises ValueError for what is no such address.

    Without a key it is asked unsigned: the key of nobody only makes the addresses.
    """
    store = s3_store(url, key or "nobody", secret or "unsigned")
    try:
        address = httpx.URL(obstore.sign(store, "GET", "object", SIGNED_FOR))
    except (BaseError, httpx.InvalidURL):
        raise ValueError(url) from None
    client = httpx.Client(
        transport=httpx.HTTPTransport(
            verify=tls_context(),
            proxy=proxy_for(address.scheme, address.host, address.port),
            limits=httpx.Limits(max_connections=None),
            trust_env=False,
        ),
        headers={"User-Agent": "Canopy", "Accept-Encoding": "identity"},
        timeout=TIMEOUT,
        follow_redirects=False,
        trust_env=False,
    )
    return Bucket(store, bool(key), client)


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
