"""Uploads in a bucket. It needs the extra `s3`, which the settings have found where a bucket is set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import obstore
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import File
from obstore.exceptions import BaseError
from obstore.store import S3Store

from dashboard.server.outages import UploadsAway
from dashboard.server.upload_parts import PART_SIZE, InParts
from orchestration.processors.data.buckets import s3_store
from orchestration.processors.secrets import mask, register_secret


class BucketStorage(InParts):
    """A bucket, or what lies below a prefix of it."""

    def __init__(self, store: S3Store) -> None:
        self._store = store

    def _save(self, name: str, content: File[bytes]) -> str:
        self._call(lambda: obstore.put(self._store, name, content.chunks(PART_SIZE)))
        return name

    def length(self, name: str) -> int | None:
        """Return the bytes of a file; None where there is none."""
        try:
            return int(self._call(lambda: obstore.head(self._store, name))["size"])
        except FileNotFoundError:
            return None

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Return a part of a file."""
        return bytes(self._call(lambda: obstore.get_range(self._store, name, start=offset, length=length)))

    def delete(self, name: str) -> None:
        """Take a file away."""
        self._call(lambda: obstore.delete(self._store, name))

    def _call(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except FileNotFoundError:
            raise
        except BaseError as error:  # its further lines are the client's whole state, keys included
            raise UploadsAway(mask(str(error).strip().splitlines()[0])[:300]) from None


def bucket_storage(url: str) -> BucketStorage:
    """Return the storage of an address, with the credentials of the settings. Raises ImproperlyConfigured."""
    if settings.CANOPY_UPLOADS_SECRET:
        register_secret(settings.CANOPY_UPLOADS_SECRET)
    try:
        store = s3_store(url, settings.CANOPY_UPLOADS_KEY_ID, settings.CANOPY_UPLOADS_SECRET, ambient=True)
    except ValueError:
        raise ImproperlyConfigured("CANOPY_UPLOADS is no s3://bucket/prefix?endpoint=…&region=… address.") from None
    return BucketStorage(store)
