"""Uploads: what people give as files, kept once, and found again by whoever names it."""

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
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from pydantic import BaseModel

from dashboard.i18n.formatting import numeral
from dashboard.models import Upload
from orchestration.processors.uploads import Upload as Given
from orchestration.processors.uploads import UploadGone

FILE_INPUT_SUFFIX = "-file"
"""What follows a field's name in the name of the input where its file is chosen."""

PART_SIZE = 256 * 1024
MB = 1024 * 1024
GONE = gettext_lazy("The uploaded file no longer exists. Choose it again.")
TOO_LARGE = "too large"
"""Stands in the place of an upload's id where the file that was chosen has not been kept."""


def store_upload(person: User, name: str, content: UploadedFile[bytes] | ContentFile[bytes]) -> Upload:
    """Keep content as an upload; the same content of the same person and name is kept once."""
    digest = hashlib.sha256()
    for part in content.chunks():
        digest.update(part)
    sha256 = digest.hexdigest()
    existing = Upload.objects.filter(uploaded_by=person, sha256=sha256, name=name[:200]).first()
    if existing is not None and existing.file.storage.exists(str(existing.file.name)):
        return existing
    upload = Upload(name=name[:200], size=content.size or 0, sha256=sha256, uploaded_by=person)
    content.seek(0)
    upload.file.save(f"{upload.pk}.items", content, save=True)
    return upload


def store_chosen_files(request: HttpRequest) -> QueryDict:
    """Keep the files that were chosen for parameters, and return what was sent with their ids in the fields' place.

    Of one that is too large there is TOO_LARGE.
    """
    given: QueryDict = request.POST.copy()
    assert request.user.is_authenticated
    for name, file in request.FILES.items():
        if name.endswith(FILE_INPUT_SUFFIX) and isinstance(file, UploadedFile):
            kept = TOO_LARGE if size_problem(file) else store_upload(request.user, file.name or "file", file).pk
            given[name.removesuffix(FILE_INPUT_SUFFIX)] = kept
    return given


def size_problem(file: UploadedFile[bytes]) -> str:
    """Return why a file cannot be kept, in words for a person; empty where it can."""
    if (file.size or 0) <= settings.CANOPY_MAX_UPLOAD_BYTES:
        return ""
    return _("The file has %(size)s MB; the limit is %(limit)s MB.") % {
        "size": numeral((file.size or 0) // MB),
        "limit": numeral(most_mb()),
    }


def most_mb() -> int:
    """Return how large a file may be, in MB."""
    return int(settings.CANOPY_MAX_UPLOAD_BYTES // MB)


def find_upload(upload_id: str) -> Given | None:
    """Return an upload as a parameter has it, or None when it is gone."""
    upload = Upload.objects.filter(pk=upload_id).first()
    if upload is None or not upload.file.storage.exists(str(upload.file.name)):
        return None
    return Given(upload.pk, upload.name, upload.size)


def resolve_uploads(parameters: BaseModel) -> tuple[BaseModel, dict[str, str]]:
    """Return parameters with the names and sizes of their uploads, and which are gone: {field: reason}."""
    found, errors = dict[str, Any](), dict[str, str]()
    for name, value in parameters:
        if isinstance(value, Given):
            known = find_upload(value.upload)
            if known is None:
                errors[name] = f"There is no upload {value.upload!r}."
            found[name] = known
    return parameters.model_copy(update=found), errors


def open_upload(upload_id: str) -> BinaryIO:
    """Open an upload for reading. Raises UploadGone."""
    upload = Upload.objects.filter(pk=upload_id).first()
    if upload is None or not upload.file.storage.exists(str(upload.file.name)):
        raise UploadGone(f"Upload {upload_id} no longer exists.")
    return upload.reader()


def read_parts(opened: BinaryIO) -> Iterator[bytes]:
    """Yield what is in a file, and close it."""
    with opened as file:
        while part := file.read(PART_SIZE):
            yield part


def opener(upload: Upload | None) -> Callable[[], BinaryIO]:
    """Return a function that opens what was uploaded, anew at each call."""
    if upload is None:
        return io.BytesIO
    return upload.reader
