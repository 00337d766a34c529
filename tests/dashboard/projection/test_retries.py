"""A retry in the rows: the same place in the tree, only what failed, and the older error stays readable."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from dashboard.chunk_store.store import DjangoChunkStore
from dashboard.models import Attempt, Batch, BatchStatus, Item, Node, Operation
from dashboard.projection.attempts import begun_again
from dashboard.projection.events import apply_events
from dashboard.projection.retries import claim, requeue
from dashboard.projection.settlement import settle
from orchestration.contracts.chunks import ItemResult
from orchestration.contracts.events import EventKind, NodeKind, TreeEvent
from orchestration.contracts.status import Failure, Status
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
MUCH_LATER = START + timedelta(minutes=2)
BROKEN = Failure("ServerError", "HTTP 500")
AT_ONCE = 8


@pytest.fixture
def batch(make_batch: MakeBatch) -> Batch:
    """Return a closed batch of three children of two items each, the last of which failed."""
    batch = make_batch(items=6, chunk_size=2)
    start_root(batch)
    run_children(batch, {0: Status.COMPLETED, 1: Status.COMPLETED, 2: Status.FAILED}, failure=BROKEN)
    close_root(batch, at=START + timedelta(seconds=30))
    return Batch.objects.get(pk=batch.pk)


def test_a_retried_child_waits_with_the_number_of_its_next_attempt(batch: Batch) -> None:
    requeue(batch.pk, {2: 1})
    child = child_of(batch, 2)
    assert (child.status, child.attempt, child.error_type, child.items_failed) == (Status.PENDING, 2, "", 0)
    batch.refresh_from_db()
    assert (batch.status, batch.children_pending, batch.items_pending, batch.closed_at) == ("running", 1, 1, None)
    assert (root_of(batch).status, root_of(batch).attempt) == (Status.PENDING, 2)
    assert_consistent(batch.pk)


def test_the_retry_completes_the_batch_and_keeps_the_older_error(batch: Batch) -> None:
    requeue(batch.pk, {2: 1})
    apply_events(batch.pk, [started(root_of(batch), 2, LATER)])
    run_children(batch, {2: Status.COMPLETED}, run=2, at=LATER)
    close_root(batch, run=2, at=MUCH_LATER)
    batch.refresh_from_db()
    assert (batch.status, batch.children_completed, batch.items_completed) == (BatchStatus.COMPLETED, 3, 6)
    assert (batch.opened_at, batch.closed_at, batch.done_at_open) == (LATER, MUCH_LATER, 2)
    first, second = Attempt.objects.filter(node=child_of(batch, 2))
    assert (first.number, first.status, first.error_message) == (1, Status.FAILED, "HTTP 500")
    assert (second.number, second.status) == (2, Status.COMPLETED)
    item = Item.objects.get(batch=batch, index=5)
    assert (item.status, item.error_type, item.earlier[0]["message"]) == (Status.COMPLETED, "", "HTTP 500")
    assert_consistent(batch.pk)


def test_two_operators_at_once_start_one_attempt(batch: Batch) -> None:
    requeue(batch.pk, {2: 1})
    revision = Batch.objects.get(pk=batch.pk).revision
    requeue(batch.pk, {2: 1})
    assert Batch.objects.get(pk=batch.pk).revision == revision
    assert child_of(batch, 2).attempt == 2


def test_a_retry_that_failed_again_before_it_was_noted_is_left_alone(batch: Batch) -> None:
    apply_events(batch.pk, [started(root_of(batch), 2, LATER)])
    run_children(batch, {2: Status.FAILED}, run=2, at=LATER, failure=BROKEN)
    requeue(batch.pk, {2: 1})
    child = child_of(batch, 2)
    assert (child.status, child.attempt, child.items_failed) == (Status.FAILED, 2, 1)
    assert root_of(batch).status == Status.RUNNING
    assert_consistent(batch.pk)


def test_a_completed_or_running_child_is_not_retried(batch: Batch) -> None:
    apply_events(batch.pk, [started(child_of(batch, 2), 2, LATER)])
    requeue(batch.pk, {0: 1, 2: 1})
    assert (child_of(batch, 0).status, child_of(batch, 2).status) == (Status.COMPLETED, Status.RUNNING)
    assert_consistent(batch.pk)


def test_an_old_close_that_comes_again_does_not_undo_the_retry(batch: Batch) -> None:
    requeue(batch.pk, {2: 1})
    child = child_of(batch, 2)
    apply_events(batch.pk, [closed(child, Status.FAILED, at=START + timedelta(seconds=50), failure=BROKEN)])
    child.refresh_from_db()
    assert (child.status, child.attempt) == (Status.PENDING, 2)
    assert_consistent(batch.pk)


def test_a_retry_that_was_not_asked_for_here_shows_as_well(batch: Batch) -> None:
    """Someone resets a child in Temporal's UI: another run without a requeue."""
    apply_events(batch.pk, [started(child_of(batch, 2), 2, LATER)])
    child = child_of(batch, 2)
    assert (child.status, child.attempt, child.items_failed) == (Status.RUNNING, 2, 0)
    assert Item.objects.get(batch=batch, index=5).status == Status.PENDING
    assert_consistent(batch.pk)


def test_results_of_the_new_run_survive_its_late_start(batch: Batch) -> None:
    """The worker writes an item's failure before the dashboard hears that the run has started."""
    run_children_results_first(batch)
    item = Item.objects.get(batch=batch, index=5)
    assert (item.status, item.error_message) == (Status.FAILED, "again")
    assert child_of(batch, 2).items_failed == 1
    assert_consistent(batch.pk)


def run_children_results_first(batch: Batch) -> None:
    child = child_of(batch, 2)
    failure = Failure("ServerError", "again")
    result = ItemResult(batch.pk, 2, f"run-{child.pk}-2", 5, 6, 0.1, None, failure)
    DjangoChunkStore().write_results([result])
    assert_consistent(batch.pk)
    requeue(batch.pk, {2: 1})
    assert_consistent(batch.pk)
    apply_events(batch.pk, [started(child, 2, LATER)])


def test_a_retry_that_was_canceled_before_it_began_shows_the_last_attempt_again(batch: Batch) -> None:
    requeue(batch.pk, {2: 1})
    apply_events(batch.pk, [started(root_of(batch), 2, LATER)])
    close_root(batch, Status.CANCELED, run=2, at=MUCH_LATER)
    child = child_of(batch, 2)
    assert (child.status, child.attempt, child.error_message) == (Status.FAILED, 1, "HTTP 500")
    assert Batch.objects.get(pk=batch.pk).status == BatchStatus.CANCELED
    assert_consistent(batch.pk)


def test_an_older_close_of_the_root_leaves_retried_children_waiting(make_batch: MakeBatch) -> None:
    batch = make_batch(items=3)
    start_root(batch)
    run_children(batch, {0: Status.FAILED})
    close_root(batch, Status.CANCELED, at=LATER)
    requeue(batch.pk, {0: 1, 1: 0})
    apply_events(batch.pk, [started(root_of(batch), 2, MUCH_LATER)])
    close_root(batch, Status.CANCELED, at=LATER + timedelta(seconds=1))
    assert [child_of(batch, position).status for position in range(3)] == ["pending", "pending", "skipped"]
    assert [child_of(batch, position).attempt for position in range(3)] == [2, 1, 0]
    assert_consistent(batch.pk)


def test_a_retry_while_the_root_runs_leaves_the_root_alone(make_batch: MakeBatch) -> None:
    batch = make_batch(items=3)
    start_root(batch)
    run_children(batch, {0: Status.FAILED, 1: Status.COMPLETED})
    requeue(batch.pk, {0: 1})
    assert (root_of(batch).status, root_of(batch).attempt) == (Status.RUNNING, 1)
    assert_consistent(batch.pk)


@pytest.mark.usefixtures("small_partitions")
def test_a_retry_below_a_closed_partition_shows_it_as_asked_to_run(make_batch: MakeBatch) -> None:
    batch = make_batch(items=9)
    start_root(batch)
    run_children(batch, {0: Status.FAILED, 8: Status.RUNNING})
    first = Node.objects.get(batch=batch, kind=NodeKind.PARTITION, position=0)
    apply_events(batch.pk, [closed(first, Status.COMPLETED, at=LATER)])
    requeue(batch.pk, {0: 1})
    first.refresh_from_db()
    assert (first.status, first.attempt, first.children_pending, first.children_failed) == ("pending", 2, 4, 0)
    apply_events(batch.pk, [started(first, 2, MUCH_LATER)])
    first.refresh_from_db()
    assert (first.status, first.attempt) == (Status.RUNNING, 2)
    assert_consistent(batch.pk)


def test_settling_takes_back_a_retry_that_never_came(batch: Batch) -> None:
    requeue(batch.pk, {2: 1})
    batch.refresh_from_db()
    settle(batch.pk, batch.revision - 1)
    assert child_of(batch, 2).status == Status.PENDING
    settle(batch.pk, batch.revision)
    assert (child_of(batch, 2).status, root_of(batch).status) == (Status.FAILED, Status.COMPLETED)
    assert Batch.objects.get(pk=batch.pk).status == BatchStatus.COMPLETED_WITH_FAILURES
    assert_consistent(batch.pk)


def test_retrying_thousands_keeps_the_tallies(make_batch: MakeBatch) -> None:
    batch = make_batch(items=1_200)
    start_root(batch)
    run_children(batch, dict.fromkeys(range(1_200), Status.FAILED))
    close_root(batch)
    requeue(batch.pk, dict.fromkeys(range(1_200), 1))
    batch.refresh_from_db()
    assert (batch.children_pending, batch.items_pending, batch.done_at_open) == (1_200, 1_200, 0)
    assert_consistent(batch.pk)


def test_a_run_that_is_started_here_comes_after_the_last_one_whatever_our_clock_says(make_batch: MakeBatch) -> None:
    batch = make_batch(items=1)
    ahead = timezone.now() + timedelta(minutes=2)
    root = root_of(batch)
    apply_events(batch.pk, [started(root, at=ahead - timedelta(seconds=9)), closed(root, Status.COMPLETED, at=ahead)])
    apply_events(batch.pk, [begun_again(root_of(batch), "second")])
    assert (root_of(batch).run_id, root_of(batch).attempt) == ("second", 2)


@pytest.mark.usefixtures("small_partitions")
def test_partitions_that_never_ran_are_skipped_with_a_revision_of_their_own(make_batch: MakeBatch) -> None:
    batch = make_batch(items=9)
    apply_events(batch.pk, [started(root_of(batch))])
    names = Node.objects.filter(batch=batch, kind=NodeKind.CHILD).values_list("workflow_id", flat=True)
    left_out = Failure("LeftOut", "Skipped.")
    apply_events(batch.pk, [TreeEvent(EventKind.SKIPPED, name, "", LATER, failure=left_out) for name in names])
    apply_events(batch.pk, [closed(root_of(batch), Status.COMPLETED, at=MUCH_LATER)])
    batch.refresh_from_db()
    settle(batch.pk, batch.revision)
    partitions = Node.objects.filter(batch=batch, kind=NodeKind.PARTITION)
    assert {*partitions.values_list("status", flat=True)} == {Status.SKIPPED}
    assert_consistent(batch.pk)


def operation_of(batch: Batch, operator: User, **given: Any) -> Operation:
    """An operation that asks Temporal."""
    values = {"action": "retry", "words": "all", "number": 3, "confirmed_at": timezone.now(), **given}
    return Operation.objects.create(batch=batch, person=operator, **values)


def failed_batch(make_batch: MakeBatch) -> tuple[Batch, list[Node]]:
    batch = make_batch(items=3)
    start_root(batch)
    run_children(batch, dict.fromkeys(range(3), Status.FAILED))
    return batch, [child_of(batch, position) for position in range(3)]


def test_of_two_claims_one_gets_each_child(make_batch: MakeBatch, operator: User) -> None:
    batch, nodes = failed_batch(make_batch)
    first, second = (operation_of(batch, operator) for _ in range(2))
    assert claim(batch.pk, nodes[:2], first.pk) == {nodes[0].pk: None, nodes[1].pk: None}
    assert claim(batch.pk, nodes, second.pk) == {nodes[2].pk: None}
    assert claim(batch.pk, nodes[:1], first.pk) == {nodes[0].pk: first.pk}, "an operation may ask again"


@pytest.mark.django_db(transaction=True)
def test_of_claims_at_the_same_time_one_gets_each_child(make_batch: MakeBatch, operator: User) -> None:
    batch, nodes = failed_batch(make_batch)
    operations = [operation_of(batch, operator) for _ in range(AT_ONCE)]
    begin = threading.Barrier(AT_ONCE)

    def claimed(operation: Operation) -> set[int]:
        try:
            begin.wait(timeout=60)
            return set(claim(batch.pk, nodes, operation.pk))
        finally:
            connection.close()

    with ThreadPoolExecutor(AT_ONCE) as threads:
        got = [each.result(timeout=60) for each in [threads.submit(claimed, operation) for operation in operations]]
    assert sorted(map(len, got)) == [*[0] * (AT_ONCE - 1), len(nodes)], "who comes first finds all of them free"


@pytest.mark.parametrize("past", [{"answered_at": START}, {"confirmed_at": START}])
def test_a_claim_ends_with_its_answer_or_with_time(
    make_batch: MakeBatch, operator: User, past: dict[str, datetime]
) -> None:
    batch, nodes = failed_batch(make_batch)
    first, second = operation_of(batch, operator, **past), operation_of(batch, operator)
    claim(batch.pk, nodes, first.pk)
    assert claim(batch.pk, nodes, second.pk) == dict.fromkeys((node.pk for node in nodes), first.pk)


def test_a_child_that_runs_again_since_it_was_read_is_not_claimed(make_batch: MakeBatch, operator: User) -> None:
    batch, nodes = failed_batch(make_batch)
    requeue(batch.pk, {0: 1})
    assert set(claim(batch.pk, nodes, operation_of(batch, operator).pk)) == {nodes[1].pk, nodes[2].pk}
