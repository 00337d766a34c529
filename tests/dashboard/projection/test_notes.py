"""What events say beside starts and ends: new rows, waiting, skipped, the time line, holds. In whatever order."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dashboard.models import Batch, BatchStatus, Node
from dashboard.projection.events import apply_events
from dashboard.queries.timeline import timeline_of
from orchestration.contracts.events import EventKind, NodeKind, Place, TreeEvent
from orchestration.contracts.status import Failure, Status
from tests.support.builders import START, MakeBatch, child_of, close_root, closed, root_of, start_root, started
from tests.support.oracle import assert_consistent

pytestmark = pytest.mark.django_db


def at(seconds: float, kind: EventKind, workflow_id: str, note: str = "") -> TreeEvent:
    until = START + timedelta(hours=1) if kind in (EventKind.HELD, EventKind.GATE_OPENED) else None
    return TreeEvent(kind, workflow_id, "run", START + timedelta(seconds=seconds), note=note, until=until)


def step(name: str, parent: str) -> TreeEvent:
    place = Place(parent, NodeKind.STEP, name, is_workflow=False)
    return TreeEvent(EventKind.STARTED, f"{parent}/{name}", f"run-{name}", START, place=place)


def status(batch: Batch) -> str:
    batch.refresh_from_db()
    return batch.status


def test_rows_within_rows_may_come_in_one_call_and_twice(make_batch: MakeBatch) -> None:
    batch = make_batch(2)
    start_root(batch)
    root = root_of(batch).workflow_id
    inner, outer = step("inner", f"{root}/outer"), step("outer", root)
    for _ in range(2):
        apply_events(batch.pk, [inner, outer])
    rows = {node.label: node for node in Node.objects.filter(batch=batch, kind=NodeKind.STEP)}
    assert set(rows) == {"inner", "outer"}
    assert rows["inner"].parent_id == rows["outer"].pk
    assert rows["inner"].status == Status.RUNNING
    assert_consistent(batch.pk)


def test_a_row_whose_parent_is_unknown_is_dropped_alone(make_batch: MakeBatch) -> None:
    batch = make_batch(2)
    start_root(batch)
    apply_events(batch.pk, [step("lost", "nowhere"), started(child_of(batch, 0))])
    assert not Node.objects.filter(batch=batch, kind=NodeKind.STEP).exists()
    assert child_of(batch, 0).status == Status.RUNNING


def test_a_child_says_what_it_waits_for_until_it_starts(make_batch: MakeBatch) -> None:
    batch = make_batch(2)
    start_root(batch)
    child = child_of(batch, 0)
    waiting = at(1, EventKind.WAITING, child.workflow_id, "Waits for host-1.")
    apply_events(batch.pk, [waiting])
    assert (child_of(batch, 0).status, child_of(batch, 0).note) == (Status.PENDING, "Waits for host-1.")
    apply_events(batch.pk, [started(child), waiting])
    assert (child_of(batch, 0).status, child_of(batch, 0).note) == (Status.RUNNING, "")
    assert_consistent(batch.pk)


def test_a_skipped_child_says_why_and_a_forgiven_one_keeps_its_error(make_batch: MakeBatch) -> None:
    batch = make_batch(3)
    start_root(batch)
    failed = child_of(batch, 1)
    reason = Failure("CircuitOpen", "The circuit breaker is open.")
    events = [
        closed(failed, Status.FAILED, failure=Failure("ServerError", "HTTP 500")),
        TreeEvent(EventKind.SKIPPED, child_of(batch, 0).workflow_id, "", START, failure=reason),
        TreeEvent(EventKind.SKIPPED, failed.workflow_id, "", START, failure=Failure("Forgiven", "Go on.")),
    ]
    apply_events(batch.pk, events)
    shown = [(child_of(batch, place).status, child_of(batch, place).error_type) for place in range(3)]
    assert shown == [(Status.SKIPPED, "CircuitOpen"), (Status.SKIPPED, "ServerError"), (Status.PENDING, "")]
    batch.refresh_from_db()
    assert (batch.children_skipped, batch.children_pending, batch.children_failed) == (2, 1, 0)


def test_a_batch_is_held_until_it_is_released_whatever_comes_late(make_batch: MakeBatch) -> None:
    batch = make_batch(2)
    start_root(batch)
    root = root_of(batch).workflow_id
    held, released = at(1, EventKind.HELD, root, "1 of 2 failed."), at(2, EventKind.RELEASED, root, "Skipped.")
    apply_events(batch.pk, [held])
    assert status(batch) == BatchStatus.HELD
    assert (batch.held_kind, batch.held_reason) == ("failures", "1 of 2 failed.")
    apply_events(batch.pk, [released])
    assert status(batch) == BatchStatus.RUNNING
    apply_events(batch.pk, [held])
    assert status(batch) == BatchStatus.RUNNING
    assert batch.moment_count == 2


def test_a_gate_that_is_open_at_the_end_holds_nothing_any_more(make_batch: MakeBatch) -> None:
    batch = make_batch(2)
    start_root(batch)
    apply_events(batch.pk, [at(1, EventKind.GATE_OPENED, root_of(batch).workflow_id, "May it start?")])
    assert status(batch) == BatchStatus.HELD
    close_root(batch, Status.TERMINATED, at=START + timedelta(seconds=5))
    assert status(batch) == BatchStatus.TERMINATED
    assert batch.held_kind == ""


def test_the_time_line_shows_the_periods_of_a_breaker(make_batch: MakeBatch) -> None:
    batch = make_batch(2)
    start_root(batch)
    root = root_of(batch).workflow_id
    kinds = (EventKind.BREAKER_OPENED, EventKind.BREAKER_HALF_OPEN, EventKind.BREAKER_CLOSED)
    apply_events(batch.pk, [at(seconds, kind, root) for seconds, kind in zip((2, 6, 8), kinds, strict=True)])
    close_root(batch, Status.CANCELED, at=START + timedelta(seconds=10))
    batch.refresh_from_db()
    batch.audit.all().delete()  # of a launch that was just now
    timeline = timeline_of(batch)
    assert [(period.kind, period.x, period.width) for period in timeline.periods] == [
        ("run", 0, 1000),
        ("open", 200, 400),
        ("half-open", 600, 200),
    ]
    assert [kind for kind, title in timeline.legend] == ["run", "open", "half-open"]
    assert timeline.periods[1].title == "Breaker open for 4.00 s"
    assert timeline.begin == START
    titles = ["Canceled", "Breaker closed", "Breaker half-open", "Breaker opened", "Started"]
    assert [entry.title for entry in timeline.entries] == titles


@pytest.mark.parametrize("kind", [EventKind.HELD, EventKind.PAUSED])
def test_a_hold_or_a_pause_outlasts_later_news_that_the_root_is_open(make_batch: MakeBatch, kind: EventKind) -> None:
    """As the reconciler finds a root that has not notified yet, or the first two notifies overtake each other."""
    batch = make_batch(2)
    root = root_of(batch)
    wanted = BatchStatus.HELD if kind is EventKind.HELD else BatchStatus.PAUSED
    apply_events(batch.pk, [started(root), at(1, kind, root.workflow_id, "1 of 2 failed.")])
    assert status(batch) == wanted
    apply_events(batch.pk, [started(root, at=START)])
    again = TreeEvent(EventKind.REOPENED, root.workflow_id, f"run-{root.pk}-1", START + timedelta(seconds=5))
    apply_events(batch.pk, [started(root, at=START - timedelta(seconds=1)), again])
    assert status(batch) == wanted
    assert [entry.title for entry in timeline_of(batch).entries if not entry.person and entry.kind != "started"] == [
        str(wanted.label)
    ]
    apply_events(batch.pk, [started(root, 2, START + timedelta(seconds=9))])
    assert status(batch) == BatchStatus.RUNNING
    apply_events(batch.pk, [at(2, kind, root.workflow_id, "1 of 2 failed.")])
    assert status(batch) == BatchStatus.RUNNING
