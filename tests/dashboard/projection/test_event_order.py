"""Events may come twice, late, never and in any order: the rows end up the same, and the tallies are always exact."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dashboard.chunk_store.store import DjangoChunkStore
from dashboard.models import Batch, Item, Node
from dashboard.projection.events import apply_events
from dashboard.projection.retries import requeue
from dashboard.projection.settlement import settle
from orchestration.contracts.chunks import ItemResult
from orchestration.contracts.events import EventKind, NodeKind, TreeEvent
from orchestration.contracts.status import Failure, Status
from orchestration.plan.plan import Plan
from tests.support.builders import START, make_batch
from tests.support.oracle import assert_consistent, rows

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

CHILDREN, CHUNK = 5, 2
OUTCOMES = [Status.COMPLETED, Status.FAILED, Status.CANCELED, Status.TERMINATED, Status.TIMED_OUT]
ROUNDS = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


class Undone(Exception):
    """Takes back what one example wrote."""


def examples(person: User) -> Iterator[Batch]:
    """Yield one batch, and take it and what was done to it back afterwards."""
    try:
        with transaction.atomic():
            yield make_batch(person, CHILDREN * CHUNK, plan=Plan(chunk_size=CHUNK))
            raise Undone
    except Undone:
        pass


def run_of(workflow_id: str, number: int, begin: int, outcome: Status | None) -> list[TreeEvent]:
    """Return the events of one run: started, and closed unless it is still open."""
    run, at = f"{workflow_id}:{number}", START + timedelta(seconds=begin)
    events = [TreeEvent(EventKind.STARTED, workflow_id, run, at)]
    if outcome is not None:
        failure = None if outcome is Status.COMPLETED else Failure(outcome.value.title(), f"run {number} of it")
        events.append(TreeEvent(EventKind.CLOSED, workflow_id, run, at + timedelta(seconds=3), outcome, failure))
    return events


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[int | None, int, int, Status | None]]:
    """Draw what happened: (position or None for the root, run, begin in seconds, outcome) for each run."""
    runs = list[tuple[int | None, int, int, Status | None]]()
    root_outcome = draw(st.sampled_from([None, *OUTCOMES]))
    runs.append((None, 1, 0, root_outcome))
    for position in range(CHILDREN):
        number = draw(st.integers(0, 3))
        for run in range(1, number + 1):
            last = [None, *OUTCOMES] if run == number and root_outcome is None else OUTCOMES
            runs.append((position, run, run * 10, draw(st.sampled_from(last if run == number else OUTCOMES[1:]))))
    return runs


def events_of(batch: Batch, history: Sequence[tuple[int | None, int, int, Status | None]]) -> list[TreeEvent]:
    root, *children = Node.objects.filter(batch=batch).order_by("pk")
    events = []
    for position, run, begin, outcome in history:
        node = root if position is None else children[position]
        events += run_of(node.workflow_id, run, begin, outcome)
    return events


def steering(batch: Batch, choices: Sequence[tuple[EventKind, int]]) -> list[TreeEvent]:
    root = Node.objects.get(batch=batch, kind=NodeKind.ROOT)
    return [
        TreeEvent(kind, root.workflow_id, f"{root.workflow_id}:1", START + timedelta(milliseconds=at), window=at)
        for kind, at in choices
    ]


def apply_in_calls(batch: Batch, events: Sequence[TreeEvent], sizes: Sequence[int]) -> None:
    left = iter(events)
    for size in itertools.cycle(sizes):
        call = list(itertools.islice(left, size))
        if not call:
            return
        apply_events(batch.pk, call)
        assert_consistent(batch.pk)


def without_ids(state: dict[str, Any], batch: Batch) -> str:
    return repr(state).replace(batch.pk, "BATCH")


@ROUNDS
@given(
    history=histories(),
    steers=st.lists(
        st.tuples(st.sampled_from([EventKind.PAUSED, EventKind.RESUMED, EventKind.WINDOW]), st.integers(1, 9_000)),
        max_size=3,
        unique_by=lambda steer: steer[1],
    ),
    data=st.data(),
)
def test_order_and_repetition_do_not_matter(operator: User, history: Any, steers: Any, data: st.DataObject) -> None:
    """Root and children run, closed in any way; the events come shuffled, some twice, in calls of any size."""
    for batch in examples(operator):
        events = events_of(batch, history) + steering(batch, steers)
        apply_in_calls(batch, events, [len(events)])
        expected = without_ids(rows(batch.pk), batch)
    for batch in examples(operator):
        events = events_of(batch, history) + steering(batch, steers)
        extra = data.draw(st.lists(st.sampled_from(range(len(events))), max_size=8), label="sent twice")
        order = data.draw(st.permutations([*range(len(events)), *extra]), label="order")
        sizes = data.draw(st.lists(st.integers(1, 7), min_size=1, max_size=3), label="sizes of calls")
        apply_in_calls(batch, [events[place] for place in order], sizes)
        assert without_ids(rows(batch.pk), batch) == expected


@ROUNDS
@given(history=histories(), data=st.data())
def test_what_was_lost_is_repaired_by_sending_it_again(operator: User, history: Any, data: st.DataObject) -> None:
    """Some events never come; the tallies are exact all the same, and right once a reconciler sends all again."""
    for batch in examples(operator):
        apply_in_calls(batch, events_of(batch, history), [100])
        expected = without_ids(rows(batch.pk), batch)
    for batch in examples(operator):
        events = events_of(batch, history)
        lost = data.draw(st.sets(st.sampled_from(range(len(events)))), label="lost")
        apply_in_calls(batch, [event for place, event in enumerate(events) if place not in lost], [4])
        apply_in_calls(batch, events, [4])
        assert without_ids(rows(batch.pk), batch) == expected


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["start", "close", "results", "requeue", "root", "settle", "stale", "again"]),
        st.integers(0, CHILDREN - 1),
        st.sampled_from(OUTCOMES),
        st.booleans(),
    ),
    max_size=25,
)


class Life:
    """A batch to which anything may happen, in an order that need not make sense."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.seconds = 0
        self.runs = dict[int, int]()
        self.sent = list[TreeEvent]()
        self.root, *self.children = Node.objects.filter(batch=batch).order_by("pk")

    def do(self, what: str, position: int, outcome: Status, flag: bool) -> None:
        self.seconds += 10
        node = self.root if what == "root" else self.children[position]
        run = self.runs.setdefault(node.pk, 1)
        if what in ("start", "root"):
            run = self.runs[node.pk] = run + 1
        if what in ("start", "close", "root"):
            events = run_of(node.workflow_id, run, self.seconds, outcome)
            self.send(events[:1] if what == "start" else events[1:] if what == "close" else events[: 1 + flag])
        elif what == "again" and self.sent:
            self.send([self.sent[self.seconds % len(self.sent)]])
        elif what in ("results", "stale"):
            self.write_results(node, run - (what == "stale"), failed=flag)
        elif what == "requeue":
            node.refresh_from_db()
            requeue(self.batch.pk, {position: node.attempt - (not flag and outcome is Status.FAILED)})
        elif what == "settle":
            self.batch.refresh_from_db()
            settle(self.batch.pk, self.batch.revision - (not flag))

    def send(self, events: Sequence[TreeEvent]) -> None:
        self.sent += events
        apply_events(self.batch.pk, events)

    def write_results(self, node: Node, run: int, *, failed: bool) -> None:
        failure = Failure("Oops", f"in run {run}") if failed else None
        DjangoChunkStore().write_results(
            [
                ItemResult(self.batch.pk, node.position, f"{node.workflow_id}:{run}", index, 1, 0.1, {}, failure)
                for index in range(node.offset, node.offset + node.length - (run % 2))
            ]
        )


@ROUNDS
@given(steps=STEPS)
def test_tallies_are_exact_whatever_happens(operator: User, steps: Any) -> None:
    """Starts, closes, results, retries and repairs in any order: tallies, attempts and status agree with the rows."""
    for batch in examples(operator):
        life = Life(batch)
        completed = set[int]()
        for step in steps:
            life.do(*step)
            assert_consistent(batch.pk)
            now = set(Item.objects.filter(batch=batch, status=Status.COMPLETED).values_list("index", flat=True))
            assert completed <= now, "a completed item never becomes anything else"
            completed = now
