"""Workers on other machines: the HTTP side of RemoteStore and of the event sender, for their tokens.

A worker may read and write what Temporal has given to its token's task queues, and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated, Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from ninja import Query, Router
from ninja.errors import HttpError
from pydantic import TypeAdapter, ValidationError

from dashboard.accounts.permissions import require_reporter
from dashboard.api.auth import EventsAuth, WorkerAuth, token_of_request
from dashboard.api.token_trail import note_work
from dashboard.chunk_store.grants import (
    NotGiven,
    OtherQueue,
    check_begun,
    check_chunk,
    check_flow,
    check_note,
    check_results,
    may_read_upload,
)
from dashboard.chunk_store.store import DjangoChunkStore
from dashboard.inputs.uploads import open_upload, read_parts
from dashboard.models import TokenKind
from dashboard.reconciliation.plugin_events import ingest
from dashboard.server.streaming import stream
from orchestration.contracts.chunks import ItemResult
from orchestration.contracts.step_results import StepResult
from orchestration.processors.result_size import max_result_bytes, size_failure
from orchestration.remote.wire import BEGUN, CHUNK, ENDS, EVENTS, NOTE, RESULTS, WORK
from orchestration.temporal.connection import TemporalUnavailable

router = Router(tags=["Workers"], auth=WorkerAuth())

RESULT_ID = re.compile(r"[0-9a-f]{32}")


@router.post("/worker/chunks/read", include_in_schema=False)
def read_chunk(request: HttpRequest, run_id: str) -> HttpResponse:
    """Return the items that a run of a child has still to process."""
    chunk = _body(request, CHUNK)
    with _given(request, [chunk.batch_id]) as queues:
        check_chunk(chunk, run_id, queues)
    with _not_found():
        work = DjangoChunkStore().read_chunk(chunk, run_id)
    return HttpResponse(WORK.dump_json(work), content_type="application/json")


@router.post("/worker/notes", include_in_schema=False)
def write_note(request: HttpRequest) -> HttpResponse:
    """Write the note of a running child."""
    note = _body(request, NOTE)
    with _given(request, [note.batch_id]) as queues:
        counts = check_note(note, queues)
    if counts:
        DjangoChunkStore().write_note(note)
    return HttpResponse(status=204)


@router.post("/worker/begun", include_in_schema=False)
def note_begun(request: HttpRequest) -> HttpResponse:
    """Note that items are begun, and return how often each was before."""
    begun = _body(request, BEGUN)
    with _given(request, [begun.batch_id]) as queues:
        check_begun(begun, queues)
    return HttpResponse(ENDS.dump_json(DjangoChunkStore().note_begun(begun)), content_type="application/json")


@router.post("/worker/begun/forget", include_in_schema=False)
def forget_begun(request: HttpRequest) -> HttpResponse:
    """Take notes of begun items back."""
    begun = _body(request, BEGUN)
    with _given(request, [begun.batch_id]) as queues:
        check_begun(begun, queues)
    DjangoChunkStore().forget_begun(begun)
    return HttpResponse(status=204)


@router.post("/worker/results", include_in_schema=False)
def write_results(request: HttpRequest, queue: Annotated[list[str], Query()] = []) -> HttpResponse:  # noqa: B006
    """Record results: all of them, or none where one is of a chunk that the worker's queues were not given.

    A worker that starts names its queues, to learn whether its token is for them.
    """
    served = _queues(request)
    if served is not None and (others := sorted({*queue} - {*served})):
        raise PermissionDenied(f"This token is not for the task queue {others[0]}.")
    results = [_measured(each) for each in _body(request, RESULTS)]
    with _given(request, {each.batch_id for each in results}) as queues:
        check_results(results, queues)
    DjangoChunkStore().write_results(results)
    return HttpResponse(status=204)


@router.get("/worker/uploads/{upload_id}", include_in_schema=False)
def read_upload(request: HttpRequest, upload_id: str) -> StreamingHttpResponse:
    """Return the content of an upload that is a parameter of a batch of the worker's queues."""
    queues = _queues(request)
    if queues is not None and not may_read_upload(upload_id, queues):
        raise Http404(f"Upload {upload_id} is no parameter of a batch of this token's task queues.")
    with _not_found():
        opened = open_upload(upload_id)
    return stream(read_parts(opened), "application/octet-stream")


@router.post("/worker/step-results/{batch_id}/{result_id}", include_in_schema=False)
def write_step_result(request: HttpRequest, batch_id: str, result_id: str, step: str, size: int) -> HttpResponse:
    """Keep the result of a step of an open batch."""
    if not RESULT_ID.fullmatch(result_id):
        raise HttpError(422, "The id of a result has 32 hexadecimal digits.")
    with _given(request, [batch_id]) as queues:
        check_flow(batch_id, queues, writes=True)
    with _not_found():
        DjangoChunkStore().write_step_result(StepResult(batch_id, step, result_id, size, request.body))
    return HttpResponse(status=204)


@router.get("/worker/step-results/{batch_id}/{result_id}", include_in_schema=False)
def read_step_result(request: HttpRequest, batch_id: str, result_id: str) -> HttpResponse:
    """Return the content of a step's result."""
    with _given(request, [batch_id]) as queues:
        check_flow(batch_id, queues)
    with _not_found():
        content = DjangoChunkStore().read_step_result(batch_id, result_id)
    return HttpResponse(content, content_type="application/octet-stream")


@router.post("/watches/events", include_in_schema=False, auth=EventsAuth())
def take_events(request: HttpRequest) -> HttpResponse:
    """Record the events of a worker with the plugin."""
    person = require_reporter(request.user)
    try:
        ingest(person, _body(request, EVENTS))
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


@contextmanager
def _given(request: HttpRequest, batch_ids: Iterable[str]) -> Iterator[Collection[str] | None]:
    """Yield the token's queues; audit what the block refuses, and the first work on each batch.

    Raises PermissionDenied, HttpError 409 for what Temporal has given to nobody, 503 where it does not answer.
    """
    try:
        yield _queues(request)
    except TemporalUnavailable as error:
        raise HttpError(503, str(error)) from error
    except (NotGiven, OtherQueue) as error:
        for batch_id in batch_ids:
            note_work(request, batch_id, str(error))
        if isinstance(error, OtherQueue):
            raise
        raise HttpError(409, str(error)) from error
    for batch_id in batch_ids:
        note_work(request, batch_id, "")


def _measured(result: ItemResult) -> ItemResult:
    """Return a result as it is kept, whatever limit its worker has: what is too large is an item that has failed."""
    failure, most = result.failure or size_failure(result.result), max_result_bytes()
    if failure is None:
        return result
    failure = replace(failure, message=failure.message[:most], stack=failure.stack[:most])
    return replace(result, result=None if result.failure is None else result.result, failure=failure)


def _queues(request: HttpRequest) -> Collection[str] | None:
    """Return the queues of a worker's token; None for an operator's own token, which may still be a worker's."""
    token = token_of_request(request)
    if token is None:
        raise PermissionDenied
    return frozenset(token.queues) if token.kind == TokenKind.WORKER else None


def _body(request: HttpRequest, kind: TypeAdapter[Any]) -> Any:
    """Return the validated body of a request. Raises HttpError 422."""
    try:
        return kind.validate_json(request.body)
    except ValidationError as error:
        raise HttpError(422, str(error)) from error
