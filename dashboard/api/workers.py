"""Workers on other machines: the HTTP side of RemoteStore and of the event sender, for operators."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from ninja import Router
from ninja.errors import HttpError
from pydantic import TypeAdapter, ValidationError

from dashboard.accounts.permissions import require_operator
from dashboard.chunk_store.store import DjangoChunkStore
from dashboard.inputs.uploads import open_upload, read_parts
from dashboard.reconciliation.plugin_events import ingest
from dashboard.server.streaming import stream
from orchestration.contracts.step_results import StepResult
from orchestration.remote.wire import BEGUN, CHUNK, ENDS, EVENTS, NOTE, RESULTS, WORK
from orchestration.temporal.connection import TemporalUnavailable

router = Router(tags=["Workers"])

RESULT_ID = re.compile(r"[0-9a-f]{32}")


@router.post("/worker/chunks/read", include_in_schema=False)
def read_chunk(request: HttpRequest, run_id: str) -> HttpResponse:
    """Return the items that a run of a child has still to process."""
    chunk = _body(request, CHUNK)
    with _not_found():
        work = DjangoChunkStore().read_chunk(chunk, run_id)
    return HttpResponse(WORK.dump_json(work), content_type="application/json")


@router.post("/worker/notes", include_in_schema=False)
def write_note(request: HttpRequest) -> HttpResponse:
    """Write the note of a running child."""
    DjangoChunkStore().write_note(_body(request, NOTE))
    return HttpResponse(status=204)


@router.post("/worker/begun", include_in_schema=False)
def note_begun(request: HttpRequest) -> HttpResponse:
    """Note that items are begun, and return how often each was before."""
    ends = DjangoChunkStore().note_begun(_body(request, BEGUN))
    return HttpResponse(ENDS.dump_json(ends), content_type="application/json")


@router.post("/worker/begun/forget", include_in_schema=False)
def forget_begun(request: HttpRequest) -> HttpResponse:
    """Take notes of begun items back."""
    DjangoChunkStore().forget_begun(_body(request, BEGUN))
    return HttpResponse(status=204)


@router.post("/worker/results", include_in_schema=False)
def write_results(request: HttpRequest) -> HttpResponse:
    """Record results."""
    DjangoChunkStore().write_results(_body(request, RESULTS))
    return HttpResponse(status=204)


@router.get("/worker/uploads/{upload_id}", include_in_schema=False)
def read_upload(request: HttpRequest, upload_id: str) -> StreamingHttpResponse:
    """Return the content of an upload."""
    require_operator(request.user)
    with _not_found():
        opened = open_upload(upload_id)
    return stream(read_parts(opened), "application/octet-stream")


@router.post("/worker/step-results/{batch_id}/{result_id}", include_in_schema=False)
def write_step_result(request: HttpRequest, batch_id: str, result_id: str, step: str, size: int) -> HttpResponse:
    """Keep the result of a step."""
    require_operator(request.user)
    if not RESULT_ID.fullmatch(result_id):
        raise HttpError(422, "The id of a result has 32 hexadecimal digits.")
    with _not_found():
        DjangoChunkStore().write_step_result(StepResult(batch_id, step, result_id, size, request.body))
    return HttpResponse(status=204)


@router.get("/worker/step-results/{batch_id}/{result_id}", include_in_schema=False)
def read_step_result(request: HttpRequest, batch_id: str, result_id: str) -> HttpResponse:
    """Return the content of a step's result."""
    require_operator(request.user)
    with _not_found():
        content = DjangoChunkStore().read_step_result(batch_id, result_id)
    return HttpResponse(content, content_type="application/octet-stream")


@router.post("/watches/events", include_in_schema=False)
def take_events(request: HttpRequest) -> HttpResponse:
    """Record the events of a worker with the plugin."""
    try:
        ingest(request.user, _body(request, EVENTS))
    except TemporalUnavailable as error:
        raise HttpError(503, str(error)) from error
    return HttpResponse(status=204)


@contextmanager
def _not_found() -> Iterator[None]:
    """Answer 404 where the store has not what is asked for."""
    try:
        yield
    except LookupError as error:
        raise Http404(str(error)) from error


def _body(request: HttpRequest, kind: TypeAdapter[Any]) -> Any:
    """Return the validated body of an operator's request. Raises PermissionDenied, HttpError 422."""
    require_operator(request.user)
    try:
        return kind.validate_json(request.body)
    except ValidationError as error:
        raise HttpError(422, str(error)) from error
