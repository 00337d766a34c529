"""Where uploads are kept: in the database, in a folder, or in a bucket; any web process and worker reads them there.

CANOPY_UPLOADS is `database`, /an/absolute/folder that all machines share, or s3://bucket/prefix?endpoint=…&region=…
with CANOPY_UPLOADS_KEY_ID and CANOPY_UPLOADS_SECRET (else what the environment gives a client of AWS). Without it they
are in the database where that is PostgreSQL, else below CANOPY_HOME. What lies there from before is still read.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, cast

from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import FileSystemStorage, Storage
from django.db import transaction
from django.db.models import Sum
from django.db.models.functions import Length
from django.utils.deconstruct import deconstructible

from dashboard.database.away import store_call
from dashboard.models import UploadPart
from dashboard.server.upload_parts import PART_SIZE, InParts

IN_DATABASE = "database"


class DatabaseStorage(InParts):
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
        if where.startswith("s3://"):
            from dashboard.server.upload_bucket import bucket_storage  # of the extra `s3`

            return bucket_storage(where)
        return FileSystemStorage(where)

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
