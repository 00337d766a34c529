"""Uploads: files that people give, stored once, and found by their ids."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from django.conf import settings
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, QueryDict
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from pydantic import BaseModel

from dashboard.i18n.formatting import numeral
from dashboard.models import Upload
from orchestration.processors.uploads import Upload as UploadParameter
from orchestration.processors.uploads import UploadGone

FILE_INPUT_SUFFIX = "-file"
"""Suffix of a field's name in the name of its file input."""

PART_SIZE = 256 * 1024
MB = 1024 * 1024
GONE = gettext_lazy("The uploaded file no longer exists. Choose it again.")
TOO_LARGE = "too large"
"""Stands in place of an upload's id for a chosen file that was too large to store."""


def store_upload(person: User, name: str, content: UploadedFile[bytes] | ContentFile[bytes]) -> Upload:
    """Store content as an upload; the same content of the same person and name is stored once."""
    digest = hashlib.sha256()
    for part in content.chunks():
        digest.update(part)
    sha256 = digest.hexdigest()
    existing = Upload.objects.filter(uploaded_by=person, sha256=sha256, name=name[:200]).first()
    if existing is not None and _has_file(existing):
        Upload.objects.filter(pk=existing.pk).update(uploaded_at=timezone.now())  # retention takes away old ones
        return existing
    upload = Upload(name=name[:200], size=content.size or 0, sha256=sha256, uploaded_by=person)
    content.seek(0)
    upload.file.save(f"{upload.pk}.items", content, save=True)
    return upload


def store_chosen_files(request: HttpRequest) -> QueryDict:
    """Store the files that were chosen for parameters, and return the form data with their ids as the fields' values.

    The value of one that is too large is TOO_LARGE.
    """
    given: QueryDict = request.POST.copy()
    assert request.user.is_authenticated
    for name, file in request.FILES.items():
        if name.endswith(FILE_INPUT_SUFFIX) and isinstance(file, UploadedFile):
            kept = TOO_LARGE if size_problem(file) else store_upload(request.user, file.name or "file", file).pk
            given[name.removesuffix(FILE_INPUT_SUFFIX)] = kept
    return given


def size_problem(file: UploadedFile[bytes]) -> str:
    """Return why a file is too large to store, for a person; empty if it is not."""
    if (file.size or 0) <= settings.CANOPY_MAX_UPLOAD_BYTES:
        return ""
    return _("The file has %(size)s MB; the limit is %(limit)s MB.") % {
        "size": numeral((file.size or 0) // MB),
        "limit": numeral(most_mb()),
    }


def most_mb() -> int:
    """Return the size limit of a file in MB."""
    return int(settings.CANOPY_MAX_UPLOAD_BYTES // MB)


def find_upload(upload_id: str) -> UploadParameter | None:
    """Return an upload as the value of a parameter, or None if it is gone."""
    if (upload := _stored(upload_id)) is None:
        return None
    return UploadParameter(upload.pk, upload.name, upload.size)


def _stored(upload_id: str) -> Upload | None:
    upload = Upload.objects.filter(pk=upload_id).first()
    return upload if upload is not None and _has_file(upload) else None


def _has_file(upload: Upload) -> bool:
    return upload.file.storage.exists(str(upload.file.name))


def resolve_uploads(parameters: BaseModel) -> tuple[BaseModel, dict[str, str]]:
    """Return parameters with the names and sizes of their uploads, and which of these are gone: {field: reason}."""
    found, errors = dict[str, Any](), dict[str, str]()
    for name, value in parameters:
        if isinstance(value, UploadParameter):
            known = find_upload(value.upload)
            if known is None:
                errors[name] = f"There is no upload {value.upload!r}."
            found[name] = known
    return parameters.model_copy(update=found), errors


def open_upload(upload_id: str) -> BinaryIO:
    """Open an upload for reading. Raises UploadGone."""
    if (upload := _stored(upload_id)) is None:
        raise UploadGone(f"Upload {upload_id} no longer exists.")
    return upload.reader()


def read_parts(opened: BinaryIO) -> Iterator[bytes]:
    """Yield the content of a file in parts, and close it."""
    with opened as file:
        while part := file.read(PART_SIZE):
            yield part


def opener(upload: Upload | None) -> Callable[[], BinaryIO]:
    """Return a function that opens an upload, or an empty file if there is none."""
    if upload is None:
        return io.BytesIO
    return upload.reader
