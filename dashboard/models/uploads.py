"""Uploaded files, kept in parts."""

from __future__ import annotations

import secrets
from typing import BinaryIO, ClassVar, cast

from django.conf import settings
from django.db import models


def new_upload_id() -> str:
    """Return an unguessable id: whoever knows it may launch what was uploaded."""
    return secrets.token_urlsafe(16)


class Upload(models.Model):
    """A file or pasted text as a person gave it, kept so that nothing typed is lost."""

    id: models.CharField[str, str] = models.CharField(primary_key=True, max_length=32, default=new_upload_id)
    file = models.FileField(upload_to="items/%Y/%m/")
    name = models.CharField(max_length=200)
    size = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    uploaded_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    uploaded_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name

    def reader(self) -> BinaryIO:
        """Open what was uploaded."""
        return cast("BinaryIO", self.file.storage.open(str(self.file.name), "rb"))


class UploadPart(models.Model):
    """A part of a file that is kept in the database, by the name that its storage gave it."""

    name = models.CharField(max_length=200)
    number = models.PositiveIntegerField()
    content = models.BinaryField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["name", "number"], name="upload_part")]

    def __str__(self) -> str:
        return f"{self.name} {self.number}"
