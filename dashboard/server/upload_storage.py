"""Where uploads are kept: in the database, in a folder, or in a bucket; any web process and worker reads them there.

CANOPY_UPLOADS is `database`, /an/absolute/folder that all machines share, or s3://bucket/prefix?endpoint=…&region=…
with CANOPY_UPLOADS_KEY_ID and CANOPY_UPLOADS_SECRET (else what the environment gives a client of AWS). Without it they
are in the database where that is PostgreSQL, else below CANOPY_HOME. What lies there from before is still read.
"""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import Any, cast

import obstore
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import File
from django.core.files.storage import FileSystemStorage, Storage
from django.db import transaction
from django.db.models import Sum
from django.db.models.functions import Length
from django.utils.deconstruct import deconstructible
from obstore.exceptions import BaseError
from obstore.store import S3Store

from dashboard.database.away import store_call
from dashboard.models import UploadPart
from dashboard.server.outages import UploadsAway
from orchestration.processors.data.file_stores import s3_store
from orchestration.processors.secrets import mask, register_secret

PART_SIZE = 512 * 1024
"""Bytes that are written and read together."""

IN_DATABASE = "database"


class _InParts(Storage, ABC):
    """Files that are read in parts, each when it is needed. What it raises where it is away is a StoreAway."""

    @abstractmethod
    def length(self, name: str) -> int | None:
        """Return the bytes of a file; None where there is none."""

    @abstractmethod
    def read(self, name: str, offset: int, length: int) -> bytes:
        """Return a part of a file, at least a byte and at most `length` of them."""

    def exists(self, name: str) -> bool:
        """Whether there is a file."""
        return self.length(name) is not None

    def size(self, name: str) -> int:
        """Return the bytes of a file. Raises FileNotFoundError."""
        if (found := self.length(name)) is None:
            raise FileNotFoundError(name)
        return found

    def _open(self, name: str, mode: str = "rb") -> File[bytes]:
        opened = io.BufferedReader(_Opened(self, name, self.size(name)), PART_SIZE)
        return cast("File[bytes]", File(opened, name))


class DatabaseStorage(_InParts):
    """Rows of at most PART_SIZE bytes."""

    def _save(self, name: str, content: File[bytes]) -> str:
        with transaction.atomic():
            for number, part in enumerate(content.chunks(PART_SIZE)):
                UploadPart.objects.create(name=name, number=number, content=part)
            if not content.size:
                UploadPart.objects.create(name=name, number=0, content=b"")
        return name

    @store_call
    def length(self, name: str) -> int | None:
        """Return the bytes of a file; None where there is none."""
        size: int | None = UploadPart.objects.filter(name=name).aggregate(size=Sum(Length("content")))["size"]
        return size

    @store_call
    def read(self, name: str, offset: int, length: int) -> bytes:
        """Return a part of a file."""
        found = UploadPart.objects.filter(name=name, number=offset // PART_SIZE).values_list("content", flat=True)
        begin = offset % PART_SIZE
        return bytes(found.get())[begin : begin + length]

    def delete(self, name: str) -> None:
        """Take a file away."""
        UploadPart.objects.filter(name=name).delete()


class BucketStorage(_InParts):
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


class _Opened(io.RawIOBase):
    """A file of a place, read in parts as they are needed."""

    def __init__(self, place: _InParts, name: str, size: int) -> None:
        self._place, self._name, self._size, self._at = place, name, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence])
        return self._at

    def readinto(self, buffer: Any) -> int:
        length = min(len(buffer), self._size - self._at)
        if length <= 0:
            return 0
        part = self._place.read(self._name, self._at, length)
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)


@deconstructible
class UploadStorage(Storage):
    """Django's storage for files: see the module."""

    @cached_property
    def _home(self) -> FileSystemStorage:
        return FileSystemStorage(settings.MEDIA_ROOT)

    @cached_property
    def _place(self) -> Any:  # Storage, with the methods that its stubs leave out
        where = settings.CANOPY_UPLOADS
        if where == IN_DATABASE:
            return DatabaseStorage()
        return BucketStorage(_bucket(where)) if where.startswith("s3://") else FileSystemStorage(where)

    def _holding(self, name: str) -> Any:
        return self._place if self._place.exists(name) else self._home

    def _save(self, name: str, content: File[bytes]) -> str:
        return str(self._place._save(name, content))

    def _open(self, name: str, mode: str = "rb") -> File[bytes]:
        return cast("File[bytes]", self._holding(name)._open(name, mode))

    def exists(self, name: str) -> bool:
        """Whether there is a file, here or from before."""
        return bool(self._place.exists(name) or self._home.exists(name))

    def size(self, name: str) -> int:
        """Return the bytes of a file. Raises FileNotFoundError."""
        return int(self._holding(name).size(name))

    def path(self, name: str) -> str:
        """Return where a file lies. Raises NotImplementedError where that is no folder."""
        return str(self._holding(name).path(name))

    def delete(self, name: str) -> None:
        """Take a file away wherever it is."""
        self._place.delete(name)
        self._home.delete(name)


def _bucket(url: str) -> S3Store:
    if settings.CANOPY_UPLOADS_SECRET:
        register_secret(settings.CANOPY_UPLOADS_SECRET)
    try:
        return s3_store(url, settings.CANOPY_UPLOADS_KEY_ID, settings.CANOPY_UPLOADS_SECRET, ambient=True)
    except (ValueError, BaseError):
        raise ImproperlyConfigured("CANOPY_UPLOADS is no s3://bucket/prefix?endpoint=…&region=… address.") from None
