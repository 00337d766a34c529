"""The reconciler on a real Temporal with a real worker, and nobody who notifies: Temporal's truth shows within 10 s."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from pytest_django import Settings
from temporalio.client import Client

from dashboard.chunk_store.store import DjangoChunkStore
from dashboard.launching.root_input import fan_out_input
from dashboard.models import Attempt, Node
from dashboard.projection.events import apply_events
from dashboard.projection.lost_results import LOST_RUN
from dashboard.projection.retries import requeue
from dashboard.projection.settlement import discard
from dashboard.reconciliation import reconciler, repair
from dashboard.reconciliation.reconciler import BatchReconciler
from dashboard.temporal import gateway
from orchestration.contracts.chunks import ItemResult
from orchestration.contracts.events import EventKind, NodeKind, TreeEvent
from orchestration.contracts.names import CHILD_TASK_QUEUE
from orchestration.contracts.status import Failure, Status
from orchestration.contracts.workflow_ids import root_id
from orchestration.workflows.fan_out import FanOutWorkflow
from tests.support.builders import START, child_of, root_of
from tests.support.oracle import assert_consistent
from tests.support.reconciled import AT_ONCE, ended, shows, statuses, temporal_says, written
from tests.support.stack import TemporalServer
from tests.support.waiting import until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

SHOWS_WITHIN = 10.0


async def test_a_batch_of_which_nothing_is_notified_ends_as_temporal_says(
    running_reconciler: None, operator: User
) -> None:
    parameters = {**AT_ONCE, "fail_percent": 100}
    good, bad = await written(operator, 3, AT_ONCE), await written(operator, 2, parameters)
    await shows(good, "completed", "completed", "completed", "completed")
    await shows(bad, "failed", "failed", "failed")
    child = await sync_to_async(child_of)(bad, 0)
    assert child.error_type
    assert child.error_message


async def test_a_root_terminated_from_outside_shows_within_10_s(
    running_reconciler: None, operator: User, own_temporal: TemporalServer
) -> None:
    batch = await written(operator, 3, window=2)
    await shows(batch, "running", "running", "running", "pending")
    own_temporal.cli("workflow", "terminate", "--workflow-id", root_id(batch.pk), "--reason", "by hand")
    await shows(batch, "terminated", "terminated", "terminated", "skipped", deadline=SHOWS_WITHIN)
    root = await sync_to_async(root_of)(batch)
    assert (root.error_type, root.error_message) == ("Terminated", "by hand")


async def test_a_root_canceled_from_outside_shows_within_10_s(
    running_reconciler: None, operator: User, own_temporal: TemporalServer
) -> None:
    batch = await written(operator, 2, window=1)
    await shows(batch, "running", "running", "pending")
    own_temporal.cli("workflow", "cancel", "--workflow-id", root_id(batch.pk))
    await ended(root_id(batch.pk))
    await shows(batch, "canceled", "canceled", "skipped", deadline=SHOWS_WITHIN)


async def test_children_ended_from_outside_show_within_10_s(
    running_reconciler: None, operator: User, own_temporal: TemporalServer
) -> None:
    batch = await written(operator, 3)
    await shows(batch, "running", "running", "running", "running")
    ids = [(await sync_to_async(child_of)(batch, position)).workflow_id for position in range(2)]
    own_temporal.cli("workflow", "terminate", "--workflow-id", ids[0], "--reason", "by hand")
    own_temporal.cli("workflow", "cancel", "--workflow-id", ids[1])
    await ended(*ids)
    await shows(batch, "running", "terminated", "canceled", "running", deadline=SHOWS_WITHIN)
    assert (await sync_to_async(child_of)(batch, 0)).error_message == "by hand"


async def test_while_rows_move_what_differs_is_left_to_the_news_and_listed_once_they_stop(
    worker: None, operator: User, own_temporal: TemporalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciler, "LAUNCH_HEAD_START", timedelta(0))
    monkeypatch.setattr(reconciler, "LIST_EVERY", timedelta(hours=1))
    monkeypatch.setattr(repair, "NOTIFY_HEAD_START", timedelta(0))
    batch = await written(operator, 3)
    watch = BatchReconciler(batch.pk)

    await watch.compare()  # starts it
    await temporal_says(batch, {Status.RUNNING: 4})
    await watch.compare()
    assert await statuses(batch) == ("running", ["running"] * 3)
    first, second = [await sync_to_async(child_of)(batch, position) for position in range(2)]
    for node in (first, second):
        own_temporal.cli("workflow", "terminate", "--workflow-id", node.workflow_id)
    await temporal_says(batch, {Status.RUNNING: 2, Status.TERMINATED: 2})
    event = TreeEvent(EventKind.CLOSED, first.workflow_id, first.run_id, datetime.now(UTC), Status.TERMINATED)
    await sync_to_async(apply_events)(batch.pk, [event])
    await watch.compare()
    assert await statuses(batch) == ("running", ["terminated", "running", "running"])
    await watch.compare()
    assert await statuses(batch) == ("running", ["terminated", "terminated", "running"])
    await gateway().terminate(root_id(batch.pk), "The test is over.")


async def test_what_a_comparison_repairs_itself_does_not_put_off_the_next_listing(
    worker: None, operator: User, own_temporal: TemporalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciler, "LAUNCH_HEAD_START", timedelta(0))
    monkeypatch.setattr(reconciler, "LIST_EVERY", timedelta(hours=1))
    monkeypatch.setattr(repair, "NOTIFY_HEAD_START", timedelta(0))
    batch = await written(operator, 2)
    watch = BatchReconciler(batch.pk)
    await watch.compare()  # starts it

    await temporal_says(batch, {Status.RUNNING: 3})
    await watch.compare()
    assert await statuses(batch) == ("running", ["running"] * 2)
    first = await sync_to_async(child_of)(batch, 0)
    own_temporal.cli("workflow", "terminate", "--workflow-id", first.workflow_id)
    await temporal_says(batch, {Status.RUNNING: 2, Status.TERMINATED: 1})
    await watch.compare()
    assert await statuses(batch) == ("running", ["terminated", "running"])
    await gateway().terminate(root_id(batch.pk), "The test is over.")


async def test_a_root_that_times_out_shows_within_10_s(
    running_reconciler: None, operator: User, client: Client
) -> None:
    timeout = timedelta(seconds=12)
    batch = await written(operator, 2, window=1, item_timeout=3_600)
    await client.start_workflow(
        FanOutWorkflow.run,
        await sync_to_async(fan_out_input)(batch),
        id=root_id(batch.pk),
        task_queue=CHILD_TASK_QUEUE,
        execution_timeout=timeout,
    )
    await temporal_says(batch, {Status.RUNNING: 2})
    await ended(root_id(batch.pk))
    await shows(batch, "timed_out", "terminated", "skipped", deadline=SHOWS_WITHIN)
    assert (await sync_to_async(root_of)(batch)).error_type == "Timeout"


async def test_a_retry_that_nobody_notified_shows(running_reconciler: None, operator: User) -> None:
    batch = await written(operator, 2, {**AT_ONCE, "fail_percent": 100})
    await shows(batch, "failed", "failed", "failed")
    root = await sync_to_async(fan_out_input)(batch)
    answer = await gateway().retry(root, {1: []}, believed_open=[], update_id="again")
    await sync_to_async(requeue)(batch.pk, dict.fromkeys(answer.accepted, 1))
    await shows(batch, "failed", "failed", "failed")

    async def has_run_twice() -> bool:
        return (
            await Attempt.objects.filter(node__batch=batch, node__position=1, node__kind=NodeKind.CHILD).acount() == 2
        )

    await until(has_run_twice, "the second attempt is known")
    await shows(batch, "failed", "failed", "failed")


async def test_a_batch_waits_for_temporal_and_says_so(
    operator: User, settings: Settings, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setattr(reconciler, "LAUNCH_HEAD_START", timedelta(0))
    settings.TEMPORAL_ADDRESS = "127.0.0.1:1"
    gateway.cache_clear()
    batch = await written(operator)
    assert not await BatchReconciler(batch.pk).compare()
    await batch.arefresh_from_db()
    assert batch.status == "pending"
    assert "Can't reach Temporal" in batch.start_error
    settings.TEMPORAL_ADDRESS = address
    gateway.cache_clear()
    assert not await BatchReconciler(batch.pk).compare()
    await batch.arefresh_from_db()
    assert batch.start_error == ""
    assert await gateway().describe_run(root_id(batch.pk)) is not None
    await gateway().terminate(root_id(batch.pk), "The test is over.")


async def test_a_batch_discarded_while_it_is_being_started_is_ended_again(
    operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciler, "LAUNCH_HEAD_START", timedelta(0))
    batch = await written(operator)
    assert await sync_to_async(discard)(batch.pk)
    await reconciler._start_pending(batch)
    seen = await gateway().describe_run(root_id(batch.pk))
    assert seen is not None
    assert seen.status is Status.TERMINATED


async def test_what_temporal_no_longer_knows_is_terminated(operator: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Temporal's database was lost while a batch ran."""
    monkeypatch.setattr(reconciler, "LASTING_DIFFERENCE", timedelta(0))
    batch = await written(operator, 3)

    def run() -> None:
        nodes = (root_of(batch), child_of(batch, 0))
        events = [TreeEvent(EventKind.STARTED, node.workflow_id, str(uuid4()), START) for node in nodes]
        apply_events(batch.pk, events)

    await sync_to_async(run)()
    watch = BatchReconciler(batch.pk, _patience=timedelta(0))
    await watch.compare()
    assert await statuses(batch) == ("terminated", ["terminated", "skipped", "skipped"])
    assert (await sync_to_async(root_of)(batch)).error_message == LOST_RUN.message
    await sync_to_async(assert_consistent)(batch.pk)


async def test_what_temporal_has_forgotten_ended_as_its_results_say(
    operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dashboard was away from before its end until the namespace's retention was over; workers wrote results."""
    monkeypatch.setattr(reconciler, "LASTING_DIFFERENCE", timedelta(0))
    batch = await written(operator, 3)

    def run() -> None:
        nodes = [root_of(batch), *(child_of(batch, position) for position in range(3))]
        runs = [str(uuid4()) for _ in nodes]
        events = [
            TreeEvent(EventKind.STARTED, node.workflow_id, run, START) for node, run in zip(nodes, runs, strict=True)
        ]
        apply_events(batch.pk, events)
        failure = Failure("OutOfStock", "none left")
        results = [
            ItemResult(batch.pk, 0, runs[1], 0, 1, 0.5, {"seconds": 0}),
            ItemResult(batch.pk, 1, runs[2], 1, 1, 0.5, failure=failure),
        ]
        DjangoChunkStore().write_results(results)

    await sync_to_async(run)()
    watch = BatchReconciler(batch.pk, _patience=timedelta(0))
    await watch.compare()
    assert await statuses(batch) == ("completed_with_failures", ["completed", "failed", "terminated"])
    failed = await sync_to_async(child_of)(batch, 1)
    assert (failed.error_type, failed.error_message) == ("OutOfStock", "none left")
    await sync_to_async(assert_consistent)(batch.pk)


async def test_a_difference_that_stays_does_not_keep_a_closed_batch_open(
    running_reconciler: None, operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows know an attempt that Temporal has forgotten (its retention is over)."""
    batch = await written(operator, 1, AT_ONCE)
    await shows(batch, "completed", "completed")

    def forget() -> None:
        child = child_of(batch, 0)
        Attempt.objects.create(
            batch=batch, node=child, number=2, run_id=str(uuid4()), status=Status.FAILED, closed_at=datetime.now(UTC)
        )

    await sync_to_async(forget)()
    watch = BatchReconciler(batch.pk)
    assert not await watch.compare()
    watch._patience = timedelta(0)
    assert await watch.compare()


async def test_a_batch_that_is_gone_is_not_watched() -> None:
    assert await BatchReconciler("gone").compare()


async def test_a_root_that_reported_its_end_and_is_open_is_shown_as_running_again(
    running_reconciler: None, operator: User
) -> None:
    batch = await written(operator, 1)
    await shows(batch, "running", "running")
    root = await sync_to_async(root_of)(batch)
    assert root.started_at is not None
    end = (root.started_at, Status.COMPLETED)
    nodes = [node async for node in Node.objects.filter(batch=batch)]
    told = [TreeEvent(EventKind.CLOSED, node.workflow_id, node.run_id, *end) for node in nodes]
    await sync_to_async(apply_events)(batch.pk, told)
    assert await statuses(batch) == ("failed", ["failed"]), "it has ended, without a result"
    await shows(batch, "running", "running")
    await batch.arefresh_from_db()
    assert batch.closed_at is None
    await sync_to_async(assert_consistent)(batch.pk)
