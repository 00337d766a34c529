"""Two batches of one processor: counts, durations, and errors that are new, gone or grown."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client

from dashboard.chunk_store.store import DjangoChunkStore
from dashboard.models import Batch
from dashboard.projection.events import apply_events
from dashboard.queries.comparison import BatchComparison, compare
from orchestration.contracts.chunks import ItemResult
from orchestration.contracts.status import Failure, Status
from tests.support.builders import START, MakeBatch, child_of, closed, started

pytestmark = pytest.mark.django_db(transaction=True)

STOCK = Failure("OutOfStock", "books-17 is out of stock")
ROUTE = Failure("NoRoute", "no route to 10.0.0.7")
LIMIT = Failure("RateLimited", "429 Too Many Requests")


def fill(batch: Batch, failures: list[Failure | None], seconds: float) -> Batch:
    """Process a batch of one item a child; a child takes `seconds` times its position."""
    store = DjangoChunkStore()
    for position, failure in enumerate(failures):
        child = child_of(batch, position)
        apply_events(batch.pk, [started(child)])
        store.write_results([ItemResult(batch.pk, position, f"run-{child.pk}-1", position, 1, 0.1, None, failure)])
        outcome = Status.FAILED if failure else Status.COMPLETED
        apply_events(batch.pk, [closed(child, outcome, at=START + timedelta(seconds=seconds * (position + 1)))])
    batch.refresh_from_db()
    return batch


@pytest.fixture
def pair(make_batch: MakeBatch) -> tuple[Batch, Batch]:
    """An earlier batch and a later one, which is twice as slow."""
    earlier = fill(make_batch(5), [STOCK, ROUTE, STOCK, None, None], 1)
    return earlier, fill(make_batch(5), [STOCK, STOCK, STOCK, LIMIT, None], 2)


def test_errors_are_new_gone_or_grown_from_the_earlier_to_the_later(pair: tuple[Batch, Batch]) -> None:
    for page in (compare(*pair), compare(*pair[::-1])):
        assert (page.batch, page.other) == pair
        assert [(error.trend, error.error_type, error.one, error.other) for error in page.errors] == [
            ("new", "RateLimited", 0, 1),
            ("grown", "OutOfStock", 2, 3),
            ("gone", "NoRoute", 1, 0),
        ]


def test_counts_and_durations_are_side_by_side(pair: tuple[Batch, Batch]) -> None:
    page = compare(*pair)
    assert [(each.name, each.one, each.other) for each in page.children] == [("Failed", 3, 4), ("Completed", 2, 1)]
    assert [each.name for each in page.durations][::2] == ["Min", "p90", "Max"]
    assert [each.one for each in page.durations] == pytest.approx([1, 3, 5, 5, 5], rel=0.001)
    assert [each.other for each in page.durations] == pytest.approx([2, 6, 10, 10, 10], rel=0.001)
    assert page.histogram is not None
    assert page.histogram.ticks[::4] == pytest.approx([1, 10], rel=0.001)


def test_a_batch_is_compared_with_the_one_before_unless_another_is_chosen(
    pair: tuple[Batch, Batch], make_batch: MakeBatch, logged_in: Client
) -> None:
    earlier, later = pair
    newest = make_batch(2)

    def shown(batch: Batch, query: str = "") -> tuple[str, str]:
        page = logged_in.get(f"/batches/{batch.pk}/compare/{query}").context["page"]
        assert isinstance(page, BatchComparison)
        return page.batch.pk, page.other.pk if page.other else ""

    assert shown(later) == (earlier.pk, later.pk)
    assert shown(later, f"?with={newest.pk}") == (later.pk, newest.pk)
    assert shown(newest) == (later.pk, newest.pk)
    assert shown(earlier) == (earlier.pk, "")
    assert logged_in.get(f"/batches/{later.pk}/compare/?with=nothing").status_code == 404
    assert logged_in.get("/batches/nothing/compare/").status_code == 404
