"""Error groups: failures by signature with their numbers, and a retry of exactly those."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from dashboard.actions import operations
from dashboard.actions.targets import targets_with_error
from dashboard.chunk_store.store import DjangoChunkStore
from dashboard.errors import OperationError
from dashboard.models import Batch
from dashboard.projection.events import apply_events
from dashboard.projection.retries import requeue
from dashboard.queries.error_details import error_table
from dashboard.queries.error_groups import error_groups
from dashboard.queries.selection import Selection
from orchestration.contracts.chunks import ItemResult
from orchestration.contracts.status import Failure, Status
from tests.support.builders import MakeBatch, child_of, closed, started

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def failing(make_batch: MakeBatch) -> Batch:
    """Five children of two items: three items of two children without stock, one without an address, one timed out."""
    batch = make_batch(10, chunk_size=2)
    children = [child_of(batch, position) for position in range(5)]
    apply_events(batch.pk, [started(child) for child in children])
    failures = {
        0: Failure("OutOfStock", "books-17 is out of stock"),
        1: Failure("OutOfStock", "lamps-9 is out of stock"),
        2: Failure("OutOfStock", "desk-1 is out of stock"),
        3: Failure("Unreachable", "https://x.example/3 answered with status 503"),
    }
    results = [
        ItemResult(batch.pk, index // 2, child_of(batch, index // 2).run_id, index, 1, 0.1, None, failures.get(index))
        for index in range(8)
    ]
    DjangoChunkStore().write_results(results)
    failed = Failure("ApplicationError", "2 of 2 items failed")
    apply_events(batch.pk, [closed(children[position], Status.FAILED, failure=failed) for position in (0, 1)])
    apply_events(batch.pk, [closed(children[position], Status.COMPLETED) for position in (2, 3)])
    timeout = Failure("Timeout", "Timed out (start to close).")
    apply_events(batch.pk, [closed(children[4], Status.TIMED_OUT, failure=timeout)])
    batch.refresh_from_db()
    return batch


def test_failures_are_grouped_with_numbers_and_one_of_them_as_a_sample(failing: Batch) -> None:
    groups = error_groups(failing).shown
    assert [(each.error_type, each.template, each.number, each.children, each.of_items) for each in groups] == [
        ("OutOfStock", "<id> is out of stock", 3, 2, True),
        ("Unreachable", "<url> answered with status 503", 1, 1, True),
        ("Timeout", "Timed out (start to close).", 1, 1, False),
    ]
    assert groups[0].sample == "books-17 is out of stock"
    assert groups[0].share == 1000
    assert [each.of_batch for each in groups] == [0.3, 0.1, 0.2]
    assert groups[0].first is not None


def test_a_group_counts_what_is_being_retried_and_what_is_fixed(failing: Batch, operator: User) -> None:
    stock, unreachable, timeout = (each.signature for each in error_groups(failing).shown)
    assert _children_with(failing, stock) == [0, 1]
    assert _children_with(failing, unreachable) == [1]
    assert _children_with(failing, timeout) == [4]
    first = child_of(failing, 0)
    requeue(failing.pk, {0: first.attempt})
    assert _numbers(failing, stock) == (1, 2, 0)
    again = [ItemResult(failing.pk, 0, "again", index, 2, 0.1, {"packed": True}) for index in (0, 1)]
    DjangoChunkStore().write_results(again)
    failing.refresh_from_db()
    assert _numbers(failing, stock) == (1, 0, 2)
    second = child_of(failing, 1)
    requeue(failing.pk, {1: second.attempt, 4: child_of(failing, 4).attempt})
    again = [ItemResult(failing.pk, 1, "again", index, 2, 0.1, {"packed": True}) for index in (2, 3)]
    DjangoChunkStore().write_results(again)
    late = child_of(failing, 4)
    own = range(late.offset, late.offset + late.length)
    DjangoChunkStore().write_results([ItemResult(failing.pk, 4, "late", index, 1, 0.1, {}) for index in own])
    apply_events(failing.pk, [started(late, run=2), closed(late, Status.COMPLETED, run=2)])
    failing.refresh_from_db()
    assert _numbers(failing, stock) == (0, 0, 3)
    assert _numbers(failing, timeout) == (0, 0, 1)
    fixed = error_groups(failing).shown
    assert [(each.error_type, each.sample, each.share) for each in fixed] == [
        ("OutOfStock", "books-17 is out of stock", 0),
        ("Unreachable", "https://x.example/3 answered with status 503", 0),
        ("Timeout", "Timed out (start to close).", 0),
    ]
    with pytest.raises(OperationError, match="No children failed with this error"):
        operations.retry(operator, failing, targets_with_error("0123456789abcdef"))


def _children_with(batch: Batch, signature: str) -> list[int]:
    """Return the positions of the children that a selection by an error has."""
    return sorted(Selection(error=signature).children(batch).values_list("position", flat=True))


def _numbers(batch: Batch, signature: str) -> tuple[int, int, int]:
    """Return how many failed with an error, got another attempt, and are fixed."""
    (group,) = [each for each in error_groups(batch).shown if each.signature == signature]
    return group.number, group.under_way, group.mended


def test_the_tab_shows_a_real_message_above_its_pattern_with_links(failing: Batch, logged_in: Client) -> None:
    page = logged_in.get(f"/batches/{failing.pk}/errors/").content.decode()
    assert page.index("books-17 is out of stock") < page.index("&lt;id&gt; is out of stock")
    stock = error_groups(failing).shown[0].signature
    assert f"/batches/{failing.pk}/?error={stock}" in page
    results = logged_in.get(f"/batches/{failing.pk}/results/?signature={stock}").content.decode()
    assert "3 items" in results
    assert "status 503" not in results
    part = logged_in.get(f"/batches/{failing.pk}/errors/", headers={"HX-Request": "true"}).content.decode()
    assert "<title>" not in part
    assert "3 distinct errors" in part


def test_an_error_names_whom_it_affects_whether_a_retry_can_help_and_whether_it_is_new(
    failing: Batch, make_batch: MakeBatch
) -> None:
    Batch.objects.filter(pk=failing.pk).update(closed_at=timezone.now())
    batch = make_batch(4)
    apply_events(batch.pk, [started(child_of(batch, position)) for position in range(3)])
    problems = [
        Failure("OutOfStock", "beds-2 is out of stock"),
        Failure("ValidationError", "amount: not a number"),
        Failure("KeyError", "'price'"),
    ]
    results = [
        ItemResult(batch.pk, index, child_of(batch, index).run_id, index, 1, 0.1, None, failure)
        for index, failure in enumerate(problems)
    ]
    DjangoChunkStore().write_results(results)
    Batch.objects.filter(pk=batch.pk).update(plan_data={**batch.plan_data, "non_retryable": "KeyError"})
    table = error_table(Batch.objects.get(pk=batch.pk))
    assert table.previous == failing
    rows = {row.group.error_type: row for row in table.rows}
    assert {name: (row.is_new, bool(row.remedy)) for name, row in rows.items()} == {
        "OutOfStock": (False, False),
        "ValidationError": (True, True),
        "KeyError": (True, True),
    }
    keys = dict(batch.items.values_list("index", "key"))
    assert [(each.key, each.index) for each in rows["ValidationError"].affected] == [(keys[1], 1)]
    timeout = error_table(failing).rows[2]
    assert [each.node for each in timeout.affected] == [child_of(failing, 4).pk]


def test_the_tree_shows_the_children_with_an_error(failing: Batch, logged_in: Client) -> None:
    stock = error_groups(failing).shown[0].signature
    page = logged_in.get(f"/batches/{failing.pk}/?error={stock}").context["page"]
    assert [row.node.position for row in page.tree.branch.rows] == [0, 1]
    rows = logged_in.get(f"/batches/{failing.pk}/nodes/?error={stock}", headers={"HX-Request": "true"}).content.decode()
    assert "Selected error" in rows
    nothing = logged_in.get(f"/batches/{failing.pk}/?error=nonsense").content.decode()
    assert "No children failed with this error." in nothing


def test_a_batch_without_failures_has_no_groups(make_batch: MakeBatch) -> None:
    assert error_groups(make_batch(3)).shown == []
