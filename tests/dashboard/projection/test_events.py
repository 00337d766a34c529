"""Tree events become rows: once, in order, and what a person reads from it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test.utils import CaptureQueriesContext

from dashboard.models import Attempt, Batch, BatchStatus, Item, Node
from dashboard.projection.events import apply_events
from dashboard.projection.settlement import discard, set_start_error, settle
from orchestration.contracts.events import EventKind, NodeKind, Place, TreeEvent
from orchestration.contracts.status import Failure, Status
from orchestration.plan.choices import Execution
from tests.support.builders import (
    START,
    MakeBatch,
    child_of,
    close_root,
    closed,
    root_of,
    run_children,
    start_root,
    started,
)
from tests.support.oracle import assert_consistent

pytestmark = pytest.mark.django_db

LATER = START + timedelta(minutes=1)
BROKEN = Failure("ServerError", "HTTP 500")


def steer(batch: Batch, kind: EventKind, seconds: int = 0, window: int | None = None) -> None:
    root = root_of(batch)
    event = TreeEvent(kind, root.workflow_id, f"run-{root.pk}-1", START + timedelta(seconds=seconds), window=window)
    apply_events(batch.pk, [event])
    batch.refresh_from_db()


def test_a_batch_runs_to_completion(make_batch: MakeBatch) -> None:
    batch = make_batch(items=5, chunk_size=2)
    assert_consistent(batch.pk)
    start_root(batch)
    batch.refresh_from_db()
    assert (batch.status, batch.opened_at) == (BatchStatus.RUNNING, START)
    run_children(batch, {0: Status.COMPLETED, 1: Status.COMPLETED, 2: Status.COMPLETED})
    close_root(batch, at=LATER)
    batch.refresh_from_db()
    assert (batch.status, batch.closed_at) == (BatchStatus.COMPLETED, LATER)
    assert (batch.children_completed, batch.items_completed) == (3, 5)
    assert_consistent(batch.pk)


def test_a_failed_child_shows_its_error_and_its_completed_items_stay(make_batch: MakeBatch) -> None:
    batch = make_batch(items=3, chunk_size=3)
    start_root(batch)
    run_children(batch, {0: Status.FAILED}, failure=BROKEN)
    close_root(batch)
    child = child_of(batch, 0)
    assert (child.status, child.error_type, child.error_message) == (Status.FAILED, "ServerError", "HTTP 500")
    batch.refresh_from_db()
    assert (batch.status, batch.items_completed, batch.items_failed) == (BatchStatus.COMPLETED_WITH_FAILURES, 2, 1)
    assert_consistent(batch.pk)


def test_a_late_started_never_overwrites_a_close(make_batch: MakeBatch) -> None:
    batch = make_batch()
    child = child_of(batch, 0)
    apply_events(batch.pk, [closed(child, Status.TIMED_OUT, at=LATER)])
    apply_events(batch.pk, [started(child)])
    child.refresh_from_db()
    assert (child.status, child.started_at, child.closed_at) == (Status.TIMED_OUT, START, LATER)
    assert_consistent(batch.pk)


def test_an_event_of_an_older_run_does_not_change_the_node(make_batch: MakeBatch) -> None:
    batch = make_batch()
    child = child_of(batch, 0)
    apply_events(batch.pk, [started(child, 2, LATER)])
    apply_events(batch.pk, [closed(child, Status.FAILED, 1, failure=BROKEN)])
    child.refresh_from_db()
    assert (child.status, child.attempt, child.error_message) == (Status.RUNNING, 2, "")
    assert [attempt.status for attempt in Attempt.objects.filter(node=child)] == [Status.FAILED, Status.RUNNING]
    assert_consistent(batch.pk)


def test_news_that_say_nothing_new_take_no_revision(make_batch: MakeBatch) -> None:
    batch = make_batch()
    events = [started(child_of(batch, 0)), closed(child_of(batch, 0), Status.COMPLETED, at=LATER)]
    apply_events(batch.pk, events)
    revision = Batch.objects.get(pk=batch.pk).revision
    apply_events(batch.pk, events)
    assert Batch.objects.get(pk=batch.pk).revision == revision


def test_only_changed_nodes_get_the_new_revision(make_batch: MakeBatch) -> None:
    batch = make_batch()
    apply_events(batch.pk, [started(child_of(batch, 0))])
    batch.refresh_from_db()
    assert child_of(batch, 0).revision == batch.revision
    assert child_of(batch, 1).revision < batch.revision


@pytest.mark.usefixtures("small_partitions")
def test_a_partition_is_counted_and_revised_with_its_children(make_batch: MakeBatch) -> None:
    batch = make_batch(items=11)
    start_root(batch)
    run_children(batch, {0: Status.COMPLETED, 5: Status.FAILED})
    batch.refresh_from_db()
    first, second, third = Node.objects.filter(batch=batch, kind=NodeKind.PARTITION).order_by("position")
    assert (first.children_completed, second.children_failed, third.children_pending) == (1, 1, 3)
    assert first.revision == second.revision == batch.revision > third.revision
    assert_consistent(batch.pk)


def test_events_of_strangers_are_dropped(make_batch: MakeBatch) -> None:
    batch, other = make_batch(), make_batch()
    apply_events("no-such-batch", [started(child_of(batch, 0))])
    apply_events(batch.pk, [started(child_of(other, 0)), TreeEvent(EventKind.STARTED, "nobody", "run", START)])
    assert child_of(other, 0).status == Status.PENDING
    assert_consistent(batch.pk)


def test_pause_resume_and_window_follow_the_newest_event(make_batch: MakeBatch) -> None:
    batch = make_batch()
    start_root(batch)
    steer(batch, EventKind.PAUSED, 10)
    assert (batch.status, batch.paused) == (BatchStatus.PAUSED, True)
    steer(batch, EventKind.RESUMED, 5)
    assert batch.paused
    steer(batch, EventKind.WINDOW, 3, window=7)
    steer(batch, EventKind.WINDOW, 2, window=9)
    assert batch.window == 7
    steer(batch, EventKind.RESUMED, 20)
    assert batch.status == BatchStatus.RUNNING


def test_a_closed_root_is_not_paused(make_batch: MakeBatch) -> None:
    batch = make_batch()
    start_root(batch)
    steer(batch, EventKind.PAUSED, 10)
    close_root(batch, Status.CANCELED, at=LATER)
    batch.refresh_from_db()
    assert (batch.status, batch.paused) == (BatchStatus.CANCELED, False)


@pytest.mark.usefixtures("small_partitions")
@pytest.mark.parametrize("outcome", [Status.FAILED, Status.CANCELED, Status.TERMINATED, Status.TIMED_OUT])
def test_a_root_that_stops_early_skips_what_is_pending(make_batch: MakeBatch, outcome: Status) -> None:
    batch = make_batch(items=11)
    start_root(batch)
    run_children(batch, {0: Status.COMPLETED, 1: Status.FAILED, 2: Status.RUNNING})
    close_root(batch, outcome, at=LATER)
    batch.refresh_from_db()
    assert (batch.status, batch.children_skipped, batch.children_running) == (outcome.value, 8, 1)
    assert child_of(batch, 10).revision == batch.revision
    assert_consistent(batch.pk)
    run_children(batch, {2: Status.TERMINATED})
    assert_consistent(batch.pk)


def test_skipping_100_000_children_takes_few_statements(
    make_batch: MakeBatch, django_assert_max_num_queries: CaptureQueriesContext
) -> None:
    batch = make_batch(items=3_000)
    start_root(batch)
    root = root_of(batch)
    with django_assert_max_num_queries(19):  # type: ignore[operator]
        apply_events(batch.pk, [closed(root, Status.TERMINATED, at=LATER)])
    assert_consistent(batch.pk)


def test_a_root_that_completed_before_its_last_news_is_still_running(make_batch: MakeBatch) -> None:
    batch = make_batch(items=2)
    start_root(batch)
    run_children(batch, {0: Status.COMPLETED})
    close_root(batch)
    assert Batch.objects.get(pk=batch.pk).status == BatchStatus.RUNNING
    run_children(batch, {1: Status.COMPLETED})
    assert Batch.objects.get(pk=batch.pk).status == BatchStatus.COMPLETED


def test_temporal_overrules_what_a_root_said_before_it_ended(make_batch: MakeBatch) -> None:
    batch = make_batch(items=1)
    start_root(batch)
    run_children(batch, {0: Status.COMPLETED})
    close_root(batch, Status.COMPLETED, at=LATER)
    close_root(batch, Status.TERMINATED, at=LATER + timedelta(seconds=1))
    assert Batch.objects.get(pk=batch.pk).status == BatchStatus.TERMINATED


def test_a_discarded_batch_is_canceled_and_a_started_one_is_not_discarded(make_batch: MakeBatch) -> None:
    batch = make_batch()
    set_start_error(batch.pk, "Temporal is away.")
    assert discard(batch.pk)
    batch.refresh_from_db()
    assert (batch.status, batch.children_skipped, batch.start_error) == (BatchStatus.CANCELED, 4, "")
    assert_consistent(batch.pk)
    start_root(batch)
    assert not discard(batch.pk)
    assert_consistent(batch.pk)


def test_text_that_a_database_cannot_hold_is_replaced(make_batch: MakeBatch) -> None:
    batch = make_batch()
    failure = Failure("T" * 500, "nul \x00 and <script> and \N{FIRE}")
    apply_events(batch.pk, [closed(child_of(batch, 0), Status.FAILED, failure=failure)])
    child = child_of(batch, 0)
    assert (len(child.error_type), child.error_message) == (200, "nul \ufffd and <script> and \N{FIRE}")


@pytest.mark.parametrize("items", [20, 500])
def test_the_number_of_queries_does_not_grow_with_the_events(
    make_batch: MakeBatch, items: int, django_assert_max_num_queries: CaptureQueriesContext
) -> None:
    batch = make_batch(items=items)
    nodes = list(Node.objects.filter(batch=batch, kind=NodeKind.CHILD))
    with django_assert_max_num_queries(14):  # type: ignore[operator]
        apply_events(batch.pk, [started(node) for node in nodes])
    with django_assert_max_num_queries(10):  # type: ignore[operator]
        apply_events(batch.pk, [closed(node, Status.COMPLETED, at=LATER) for node in nodes])
    assert Item.objects.filter(batch=batch).count() == items


def test_a_child_that_uses_a_resource_is_found_by_its_position_too(make_batch: MakeBatch) -> None:
    batch = make_batch(items=2, chunk_size=1, resource_field="url")
    start_root(batch)
    run_children(batch, {0: Status.COMPLETED, 1: Status.FAILED})
    names = [f"batch-{batch.pk}/c{position}" for position in range(2)]
    place = Place(names[0], NodeKind.ROLLBACK, "rollback", 0)
    events = [
        TreeEvent(EventKind.SKIPPED, names[1], "", LATER, failure=Failure("LeftOut", "Skipped.")),
        TreeEvent(EventKind.STARTED, f"{names[0]}/rollback", "run-1", LATER, place=place),
    ]
    apply_events(batch.pk, events)
    assert child_of(batch, 1).status == Status.SKIPPED
    assert Node.objects.get(batch=batch, kind=NodeKind.ROLLBACK).parent == child_of(batch, 0)
    assert_consistent(batch.pk)


def place_below(parent: Node, name: str, **given: Any) -> TreeEvent:
    place = Place(parent.workflow_id, NodeKind.STEP, name, 1, is_workflow=False)
    return TreeEvent(EventKind.STARTED, f"{parent.workflow_id}/{name}", f"run-{name}", START, place=place, **given)


def test_what_is_no_workflow_ends_with_the_root_that_was_terminated(make_batch: MakeBatch) -> None:
    batch = make_batch(items=4, chunk_size=2, execution=Execution.NO_CHILDREN)
    start_root(batch)
    root, child = root_of(batch), child_of(batch, 0)
    apply_events(batch.pk, [started(child), place_below(root, "step")])
    step = Node.objects.get(batch=batch, kind=NodeKind.STEP)
    apply_events(batch.pk, [place_below(step, "below")])
    close_root(batch, Status.TERMINATED, at=LATER)
    nodes = Node.objects.filter(batch=batch)
    assert not nodes.filter(status=Status.RUNNING).exists()
    child.refresh_from_db()
    assert (child.status, child.closed_at, child.error_type) == (Status.TERMINATED, LATER, "EndedWithParent")
    assert_consistent(batch.pk)
    apply_events(batch.pk, [place_below(root, "late")])
    assert not nodes.filter(status=Status.RUNNING).exists(), "what is reported late has ended, too"
    apply_events(batch.pk, [closed(child, Status.COMPLETED, at=START)])
    child.refresh_from_db()
    shown = (child.status, child.closed_at, child.error_type)
    assert shown == (Status.FAILED, START, "ResultsLost"), (
        "what the parent has reported counts; its results are not here"
    )
    assert_consistent(batch.pk)


def test_steps_whose_end_nobody_reported_end_with_their_child(make_batch: MakeBatch) -> None:
    """Of a saga per item: the child's end arrived, and the step's was lost with its worker."""
    batch = make_batch(items=3, chunk_size=1)
    start_root(batch)
    run_children(batch, {0: Status.COMPLETED, 1: Status.FAILED, 2: Status.CANCELED}, at=LATER)
    apply_events(batch.pk, [place_below(child_of(batch, position), "pay") for position in range(3)])
    apply_events(batch.pk, [closed(root_of(batch), Status.CANCELED, at=LATER)])
    batch.refresh_from_db()
    settle(batch.pk, batch.revision)
    steps = Node.objects.filter(batch=batch, kind=NodeKind.STEP).order_by("parent__position")
    assert [step.status for step in steps] == [Status.COMPLETED, Status.TERMINATED, Status.CANCELED]
    assert [step.closed_at for step in steps] == [child_of(batch, position).closed_at for position in range(3)]
    assert_consistent(batch.pk)
