"""Forms with more text than fits into memory: the other fields are kept, and the ones that are too large are named.

Django refuses such a request as a whole, before a view could show the form again.
"""

from __future__ import annotations

import shutil
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import FileUploadHandler
from django.http import HttpRequest, QueryDict
from django.http.multipartparser import FIELD, ChunkIter, LazyStream, MultiPartParser, Parser
from django.utils.datastructures import MultiValueDict
from django.utils.encoding import force_str
from django.utils.translation import gettext as _

from dashboard.i18n.formatting import numeral
from dashboard.server.request_bodies import spool

KEPT_SIZE = 1024 * 1024
"""Bytes of a field that is kept in a form that is too large."""

CHUNK = 64 * 1024
MB = 1024 * 1024

ATTRIBUTE = "fields_too_large"


def fields_too_large(request: HttpRequest) -> frozenset[str]:
    """Return the names of the fields that were left out of a submitted form because they are too large."""
    request.POST  # noqa: B018  parsed on first use
    found: frozenset[str] = getattr(request, ATTRIBUTE, frozenset())
    return found


def too_large_sentence() -> str:
    """Return what to say at a field that is too large."""
    most = (settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0) // MB
    return _("The text is too large: at most %(limit)s MB are allowed.") % {"limit": numeral(most)}


class LargeFormHandler(FileUploadHandler):
    """Reads multipart forms larger than DATA_UPLOAD_MAX_MEMORY_SIZE; leaves all others to the next handlers."""

    def handle_raw_input(
        self,
        input_data: Any,
        META: Mapping[str, Any],  # noqa: N803  as Django calls it
        content_length: int,
        boundary: Any,
        encoding: str | None = None,
    ) -> tuple[QueryDict, MultiValueDict[str, Any]] | None:
        """Return the fields and files of a large form; without fields and files where its text is too large."""
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if limit is None or content_length <= limit:
            return None
        with spool() as whole:
            shutil.copyfileobj(input_data, whole, CHUNK)
            sizes = Counter[str]()
            for name, field in _fields(whole, boundary):
                sizes[name] += sum(map(len, field))
            if sizes.total() <= limit:
                whole.seek(0)
                assert self.request is not None
                others = [handler for handler in self.request.upload_handlers if handler is not self]
                form: Any = whole
                return MultiPartParser(META, form, others, encoding).parse()
            too_large = {name for name, size in sizes.items() if size > KEPT_SIZE}
            if sum(size for name, size in sizes.items() if name not in too_large) > limit:
                raise RequestDataTooBig("The fields of a form are too large together.")
            return self._kept(whole, boundary, too_large)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        """Hand on a part of a file."""
        return raw_data

    def file_complete(self, file_size: int) -> None:
        """Leave the file to the next handlers."""

    def _kept(self, whole: Any, boundary: bytes, too_large: set[str]) -> tuple[QueryDict, MultiValueDict[str, Any]]:
        kept = QueryDict(mutable=True)
        for name, field in _fields(whole, boundary):
            if name not in too_large:
                kept.appendlist(name, b"".join(field).decode(errors="replace"))
        setattr(self.request, ATTRIBUTE, frozenset(too_large))
        kept._mutable = False
        return kept, MultiValueDict()


def _fields(whole: Any, boundary: bytes) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Yield the names and contents of a form's fields, in parts."""
    whole.seek(0)
    for kind, headers, content in Parser(LazyStream(ChunkIter(whole, CHUNK)), boundary):
        if kind == FIELD:
            yield force_str(headers["content-disposition"][1]["name"], errors="replace").strip(), iter(content)
        deque(content, maxlen=0)  # the next part begins where this one ends
