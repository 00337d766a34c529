"""What a token of a worker or a plugin may do: its own queues' chunks, as Temporal has given them, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.test import Client
from django.utils import timezone
from pydantic import TypeAdapter

from dashboard.accounts.api_tokens import create_token
from dashboard.api.auth import WRONG_TOKENS
from dashboard.inputs.uploads import store_upload
from dashboard.models import Batch, BegunItem, Item, TokenKind
from dashboard.projection.events import apply_events
from orchestration.client.executions import ExecutionReader
from orchestration.contracts.chunks import BegunItems, ChunkInput, ChunkNote, ItemResult
from orchestration.contracts.status import Failure, Status
from orchestration.processors.result_size import MAX_RESULT, RESULT_TOO_LARGE
from orchestration.remote.wire import (
    BEGUN,
    BEGUN_PATH,
    CHUNK,
    EVENTS,
    EVENTS_PATH,
    FORGET_PATH,
    NOTE,
    NOTE_PATH,
    READ_PATH,
    RESULTS,
    RESULTS_PATH,
    STEP_RESULTS_PATH,
    UPLOADS_PATH,
    WorkflowEvent,
)
from tests.support.builders import MakeBatch, child_of, root_of, start_root, started
from tests.support.streaming import streamed_content

QUEUE = "mine"

pytestmark = pytest.mark.django_db


def run_of(batch: Batch, position: int = 0) -> str:
    """Let a child start, as its parent reports it, and return its run."""
    child = child_of(batch, position)
    apply_events(batch.pk, [started(child)])
    return started(child).run_id


def post(path: str, kind: TypeAdapter[Any], body: Any, token: str) -> Any:
    content = kind.dump_json(body)
    headers = {"Authorization": f"Bearer {token}"}
    return Client().post(path, content, content_type="application/json", headers=headers)


@pytest.fixture
def temporal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Temporal know no other runs than those that were reported."""

    async def has_run(self: object, workflow_id: str, run_id: str) -> bool:
        return False

    monkeypatch.setattr(ExecutionReader, "has_run", has_run)


@pytest.fixture
def token(operator: User) -> str:
    return create_token(operator, "machine 7", TokenKind.WORKER, queues=[QUEUE])


def result(batch: Batch, run: str, *, child: int = 0, index: int = 0, undone: bool = False) -> ItemResult:
    return ItemResult(batch.pk, child, run, index, 1, 0.1, {"forged": True}, undone=undone)


def untouched(batch: Batch) -> bool:
    return not Item.objects.filter(batch=batch).exclude(status="pending", result=None).exists()


def test_a_result_of_a_chunk_that_the_queue_was_given_is_taken_and_audited_once(
    make_batch: MakeBatch, token: str
) -> None:
    batch = make_batch(items=2, task_queue=QUEUE)
    for child in (0, 1):
        run = run_of(batch, child)
        assert post(RESULTS_PATH, RESULTS, [result(batch, run, child=child, index=child)], token).status_code == 204
    assert [item.status for item in batch.items.order_by("index")] == ["completed"] * 2
    (entry,) = batch.audit.filter(action="work")
    assert (entry.actor, entry.scope, entry.outcome) == ("olga (machine 7)", QUEUE, "Accepted.")


def test_nothing_is_taken_for_a_chunk_of_another_queue(make_batch: MakeBatch, token: str, temporal: None) -> None:
    batch = make_batch(items=2, task_queue="theirs")
    run = run_of(batch)
    chunk = ChunkInput(batch.pk, 0, 0, 1, QUEUE, timedelta(minutes=1))
    begun = BegunItems(batch.pk, run, "pass", [0])
    for path, kind, body in (
        (RESULTS_PATH, RESULTS, [result(batch, run)]),
        (NOTE_PATH, NOTE, ChunkNote(batch.pk, 0, "forged", run_id=run)),
        (NOTE_PATH, NOTE, ChunkNote(batch.pk, 0, "forged")),
        (BEGUN_PATH, BEGUN, begun),
        (FORGET_PATH, BEGUN, begun),
        (f"{READ_PATH}?run_id={run}", CHUNK, chunk),
    ):
        assert post(path, kind, body, token).status_code == 403, path
    assert untouched(batch)
    assert not BegunItem.objects.exists()
    assert child_of(batch, 0).note == ""
    assert [entry.outcome[:9] for entry in batch.audit.filter(action="work")] == ["Refused: "]


def test_what_is_too_large_is_a_failed_item_whatever_limit_the_worker_has(
    make_batch: MakeBatch, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = make_batch(items=4, chunk_size=4, task_queue=QUEUE)
    run = run_of(batch)
    monkeypatch.setenv(MAX_RESULT, "1000")
    fits, large, failed, odd = (result(batch, run, index=index) for index in range(4))
    failure = Failure("Odd", "m" * 5_000, "s" * 5_000)
    given = [
        replace(fits, result="x" * 998),
        replace(large, result={"text": "x" * 5_000}),
        replace(failed, result=None, failure=failure),
        replace(odd, result=[1e999, 2**80, "\x00"]),
    ]
    assert post(RESULTS_PATH, RESULTS, given, token).status_code == 204
    items = list(batch.items.order_by("index"))
    assert [item.status for item in items] == ["completed", "failed", "failed", "completed"]
    assert (items[1].error_type, items[1].result) == (RESULT_TOO_LARGE, None)
    assert "at most 1,000 are kept" in items[1].error_message
    assert (items[2].error_message, items[2].error_stack) == ("m" * 1_000, "s" * 1_000)


@pytest.mark.parametrize("forged", ["run", "other child", "other item", "pending", "parent's run", "undone"])
def test_nothing_is_taken_for_a_run_that_temporal_has_not_given(
    make_batch: MakeBatch, token: str, temporal: None, forged: str
) -> None:
    batch = make_batch(items=3, task_queue=QUEUE)
    run = run_of(batch)
    wrong = {
        "run": result(batch, "00000000-0000-4000-8000-000000000000"),
        "other child": result(batch, run, child=1, index=1),
        "other item": result(batch, run, index=2),
        "pending": result(batch, "", child=2, index=2),
        "parent's run": result(batch, f"{run}/0.1"),
        "undone": result(batch, run, undone=True),
    }[forged]
    assert post(RESULTS_PATH, RESULTS, [result(batch, run), wrong], token).status_code == 409
    assert untouched(batch), "all of a call or nothing"


def test_a_run_that_was_not_reported_yet_is_looked_up_once(
    make_batch: MakeBatch, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, asked = make_batch(items=1, task_queue=QUEUE), list[tuple[str, str]]()

    async def has_run(self: object, workflow_id: str, run_id: str) -> bool:
        asked.append((workflow_id, run_id))
        return True

    monkeypatch.setattr(ExecutionReader, "has_run", has_run)
    run = str(uuid4())
    for _ in range(3):
        assert post(RESULTS_PATH, RESULTS, [result(batch, run)], token).status_code == 204
    assert asked == [(child_of(batch, 0).workflow_id, run)]


def test_a_worker_reads_the_uploads_of_its_queues_alone(operator: User, make_batch: MakeBatch, token: str) -> None:
    uploads = [store_upload(operator, name, ContentFile(name.encode())) for name in ("mine", "theirs", "nobody's")]
    for upload, queue in zip(uploads, (QUEUE, "theirs"), strict=False):
        batch = make_batch(items=1, task_queue=queue)
        Batch.objects.filter(pk=batch.pk).update(parameters={"words": {"upload": upload.pk, "name": "x", "size": 4}})
    headers = {"Authorization": f"Bearer {token}"}
    answers: list[Any] = [Client().get(f"{UPLOADS_PATH}/{upload.pk}", headers=headers) for upload in uploads]
    assert [answer.status_code for answer in answers] == [200, 404, 404]
    assert streamed_content(answers[0]) == b"mine"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("post", "/api/v1/batches"),
        ("post", "/api/v1/batches/{}/terminate"),
        ("get", "/api/v1/batches/{}/items"),
        ("post", "/api/v1/uploads"),
        ("get", "/api/v1/tokens"),
        ("post", "/api/v1/watches/events"),
    ],
)
def test_a_workers_token_does_nothing_else(make_batch: MakeBatch, token: str, method: str, path: str) -> None:
    batch = make_batch(items=1, task_queue=QUEUE)
    answer = getattr(Client(), method)(path.format(batch.pk), headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 403
    assert "worker" in answer.json()["detail"]


def test_events_tokens_report_nothing_about_canopys_own_workflows(operator: User, make_batch: MakeBatch) -> None:
    batch = make_batch(items=1)
    start_root(batch)
    root, child = root_of(batch), child_of(batch, 0)
    given = WorkflowEvent(
        *(root.workflow_id, root_run(batch), root.workflow_id, child.workflow_id, "forged", "ChunkWorkflow"),
        at=timezone.now(),
        status=Status.COMPLETED,
    )
    events = create_token(operator, "plugin", TokenKind.EVENTS)
    assert post(EVENTS_PATH, EVENTS, [given], events).status_code == 204
    child.refresh_from_db()
    assert (child.status, child.attempts.count()) == ("pending", 0)


def root_run(batch: Batch) -> str:
    return str(root_of(batch).attempts.get().run_id)


def test_an_operators_own_token_still_works_as_a_workers_and_is_warned_about(
    operator: User, make_batch: MakeBatch, logged_in: Client, temporal: None
) -> None:
    own, batch = create_token(operator, "before"), make_batch(items=1, task_queue=QUEUE)
    assert post(RESULTS_PATH, RESULTS, [result(batch, str(uuid4()))], own).status_code == 409, "checked all the same"
    assert post(RESULTS_PATH, RESULTS, [result(batch, run_of(batch))], own).status_code == 204
    assert "the next release refuses" in logged_in.get("/tokens/").content.decode()


def test_wrong_tokens_of_one_address_are_throttled_and_right_ones_taken(token: str) -> None:
    def status(token: str, address: str) -> int:
        sent = {"Authorization": f"Bearer {token}"}
        return Client(REMOTE_ADDR=address).post(RESULTS_PATH, b"[]", "application/json", headers=sent).status_code

    tried = [status(f"canopy_{number}", "192.0.2.99") for number in range(WRONG_TOKENS.limit + 2)]
    assert tried == [401] * WRONG_TOKENS.limit + [429, 429]
    assert status("canopy_other", "192.0.2.100") == 401
    assert status(token, "192.0.2.99") == 204


def test_steps_of_other_queues_are_neither_read_nor_written(make_batch: MakeBatch, token: str) -> None:
    mine, theirs = make_batch(items=1, task_queue=QUEUE), make_batch(items=1, task_queue="theirs")
    headers = {"Authorization": f"Bearer {token}"}
    for batch, status in ((mine, 204), (theirs, 403)):
        path = f"{STEP_RESULTS_PATH}/{batch.pk}/{'0' * 32}?step=s&size=2"
        assert Client().post(path, b"{}", "application/octet-stream", headers=headers).status_code == status
        assert (Client().get(path, headers=headers).status_code == 403) == (status == 403)
    Batch.objects.filter(pk=mine.pk).update(status="completed")
    path = f"{STEP_RESULTS_PATH}/{mine.pk}/{'1' * 32}?step=s&size=2"
    assert Client().post(path, b"{}", "application/octet-stream", headers=headers).status_code == 409
