"""Clocks leave out pauses and holds: of the batch and the parents below it, not of a child that goes on."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from dashboard.live.state import batch_state
from dashboard.models import Batch, Node
from dashboard.models.halts import MOST_KEPT, seconds_between, with_turn
from dashboard.projection.events import apply_events
from orchestration.contracts.events import EventKind, NodeKind, TreeEvent
from orchestration.contracts.status import Status
from tests.support.builders import START, MakeBatch, child_of, close_root, root_of, run_children, start_root


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_only_what_lies_within_a_halt_is_left_out() -> None:
    halts = with_turn([], at(10), is_halted=True)
    assert seconds_between(halts, at(0), at(30)) == 10, "a halt that has not ended stops the clock"
    halts = with_turn(halts, at(20), is_halted=False)
    assert seconds_between(halts, at(0), at(30)) == 20
    assert [seconds_between(halts, at(begin), at(end)) for begin, end in ((0, 5), (12, 18), (15, 25), (25, 30))] == [
        5,
        0,
        5,
        5,
    ]
    assert with_turn(halts, at(25), is_halted=False) == halts, "one end is enough"
    early = with_turn(with_turn([], at(10), is_halted=True), at(9), is_halted=False)
    assert seconds_between(early, at(0), at(30)) == 30, "clocks differ: no halt is shorter than nothing"
    many = list[list[str | None]]()
    for second in range(0, 4 * MOST_KEPT, 2):
        many = with_turn(with_turn(many, at(second), is_halted=True), at(second + 1), is_halted=False)
    assert (len(many), many[-1][0]) == (MOST_KEPT, at(4 * MOST_KEPT - 2).isoformat())


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("begins", "ends"), [(EventKind.PAUSED, EventKind.RESUMED), (EventKind.HELD, EventKind.RELEASED)]
)
def test_a_halted_batch_and_its_parents_stand_still(make_batch: MakeBatch, begins: EventKind, ends: EventKind) -> None:
    batch = make_batch(items=1_001)
    start_root(batch)
    run_children(batch, {0: Status.COMPLETED, 1: Status.RUNNING}, at=at(1), took=timedelta(seconds=4))

    def turn(kind: EventKind, seconds: float) -> None:
        apply_events(batch.pk, [TreeEvent(kind, root_of(batch).workflow_id, "", at(seconds), note="why")])

    def clocks(seconds: float) -> tuple[float | None, ...]:
        now, fresh = at(seconds), Batch.objects.get(pk=batch.pk)
        nodes = [root_of(batch), Node.objects.get(batch=batch, kind=NodeKind.PARTITION, position=0), child_of(batch, 1)]
        return fresh.elapsed(now), *(node.elapsed(now) for node in nodes)

    assert clocks(10) == (10, 10, 10, 9)
    turn(begins, 10)
    assert clocks(40) == (10, 10, 10, 39), "only the child goes on"
    turn(ends, 100)
    assert clocks(105) == (15, 15, 15, 104)
    turn(begins, 110)
    run_children(batch, dict.fromkeys(range(1001), Status.COMPLETED), run=2, at=at(111))
    close_root(batch, at=at(130))
    assert clocks(999)[:3] == (20, 20, 20), "a batch that ends while it is halted"
    state = batch_state(Batch.objects.get(pk=batch.pk))
    assert (state["elapsed"], state["rate"]) == (20, 1_001 / 20)
