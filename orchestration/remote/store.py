"""RemoteStore: items and their results over the dashboard's API, for workers that cannot reach its database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import httpx

from orchestration.contracts.chunks import BegunItems, ChunkInput, ChunkNote, ChunkWork, ItemResult
from orchestration.contracts.step_results import StepResult
from orchestration.contracts.stores import ResultRefused, StoreAway
from orchestration.remote.http_client import JSON, bearer_client, post, reason_of
from orchestration.remote.wire import (
    BEGUN,
    BEGUN_PATH,
    CHUNK,
    ENDS,
    FINAL,
    FORGET_PATH,
    NOTE,
    NOTE_PATH,
    READ_PATH,
    RESULTS,
    RESULTS_PATH,
    STEP_RESULTS_PATH,
    UPLOADS_PATH,
    WORK,
)

RESULTS_PER_CALL = 200
TIMEOUT = 30.0
"""Seconds for one call."""

STREAM = "application/octet-stream"
CONTENT_TYPES = (JSON, STREAM)
"""What a dashboard answers with. A page is from somebody else: a proxy that shows one while there is no dashboard."""


class StoreRefused(StoreAway):
    """The dashboard denies this worker access: its token is wrong, or not for its queues. Somebody may mend that."""


class RemoteStore:
    """Items over HTTP. Safe to call from several threads, and every call may be made twice."""

    def __init__(self, url: str, token: str) -> None:
        """Take the dashboard's address and a worker's API token."""
        self._client = bearer_client(url, token, timeout=TIMEOUT)

    def check(self, queues: Sequence[str] = ()) -> None:
        """Raise StoreRefused where the token is not valid for these queues, StoreAway where there is no answer."""
        self._post(RESULTS_PATH, b"[]", queue=list(queues))

    def ping(self) -> None:
        """Raise StoreAway where the dashboard does not answer, or denies this worker access."""
        self.check()

    def read_chunk(self, work: ChunkInput, run_id: str) -> ChunkWork:
        """Return what a run of a child has still to process. Raises LookupError for an unknown batch or slice."""
        return WORK.validate_json(self._post(READ_PATH, CHUNK.dump_json(work), run_id=run_id).content)

    def read_upload(self, upload_id: str) -> Iterator[bytes]:
        """Yield the content of a file that is a parameter. Raises LookupError when it is gone."""
        return self._read(f"{UPLOADS_PATH}/{upload_id}")

    def read_step_result(self, batch_id: str, result_id: str) -> bytes:
        """Return the content of a step's result. Raises LookupError when it is gone."""
        return b"".join(self._read(f"{STEP_RESULTS_PATH}/{batch_id}/{result_id}"))

    def write_step_result(self, result: StepResult) -> None:
        """Keep the result of a step. Raises LookupError for an unknown batch, ResultRefused for too large a body."""
        path = f"{STEP_RESULTS_PATH}/{result.batch_id}/{result.id}"
        try:
            self._post(path, result.content, STREAM, step=result.step, size=result.size)
        except httpx.HTTPStatusError as error:
            if error.response.status_code != 413:
                raise
            raise ResultRefused(
                f"The result of {result.step} has {len(result.content):,} bytes in a request, and the dashboard, or a "
                "proxy before it, takes no body of that size: raise the proxy's limit, or return where the data is."
            ) from error

    def _read(self, path: str) -> Iterator[bytes]:
        try:
            with self._client.stream("GET", path) as answer:
                if answer.headers.get("content-type") != STREAM:
                    answer.read()
                yield from _checked(answer).iter_bytes()
        except httpx.TransportError as error:
            raise StoreAway(reason_of(error)) from error

    def write_note(self, note: ChunkNote) -> None:
        """Show what a running child is doing."""
        self._post(NOTE_PATH, NOTE.dump_json(note))

    def note_begun(self, begun: BegunItems) -> list[int]:
        """Note that items are begun, and return how often each was before; a dashboard of before says nothing."""
        answer = self._post(BEGUN_PATH, BEGUN.dump_json(begun))
        return ENDS.validate_json(answer.content) if answer.content else [0] * len(begun.indices)

    def forget_begun(self, begun: BegunItems) -> None:
        """Take notes of begun items back."""
        self._post(FORGET_PATH, BEGUN.dump_json(begun))

    def write_results(self, results: Sequence[ItemResult]) -> None:
        """Record results, RESULTS_PER_CALL in a call, or fewer where some of them are refused.

        A proxy may take no body of that size, and the dashboard no result of a run that Temporal no longer knows.
        """
        for first in range(0, len(results), RESULTS_PER_CALL):
            self._write(results[first : first + RESULTS_PER_CALL])

    def _write(self, results: Sequence[ItemResult]) -> None:
        try:
            self._post(RESULTS_PATH, RESULTS.dump_json(list(results)))
        except httpx.HTTPStatusError as error:
            if error.response.status_code not in (409, 413) or len(results) == 1:
                raise
            half = len(results) // 2
            try:
                self._write(results[:half])
            finally:
                self._write(results[half:])

    def _post(self, path: str, body: bytes, kind: str = JSON, **query: Any) -> httpx.Response:
        try:
            return _checked(post(self._client, path, body, kind, **query))
        except httpx.TransportError as error:
            raise StoreAway(reason_of(error)) from error


def _checked(answer: httpx.Response) -> httpx.Response:
    """Return the answer if it is a success of the dashboard's.

    Raises LookupError and httpx.HTTPStatusError for what no repetition will change, StoreAway for everything else.
    """
    status, kind = answer.status_code, answer.headers.get("content-type", "").partition(";")[0].strip()
    if answer.is_success and (status == 204 or kind in CONTENT_TYPES):
        return answer
    detail = _detail(answer)
    if status == 404 and detail is not None:
        raise LookupError(detail)
    if status in FINAL:
        answer.raise_for_status()
    said = f"it redirects to {answer.headers['location']}" if answer.has_redirect_location else answer.text[:200]
    reason = f"{status}: {said if detail is None else detail}"
    raise StoreRefused(reason) if status in (401, 403) else StoreAway(reason)


def _detail(answer: httpx.Response) -> str | None:
    """Return the reason that a dashboard has given; None where the answer is not a dashboard's."""
    try:
        given = answer.json()
        return str(given["detail"]) if "errors" in given else None
    except (ValueError, KeyError, TypeError):
        return None
