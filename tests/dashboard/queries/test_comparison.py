"""Two batches of one processor: counts, durations, and errors that are new, gone or more frequent."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client

from dashboard.chunk_store.store import DjangoChunkStore
from dashboard.models import Batch
from dashboard.projection.events import apply_events
from dashboard.queries.comparison import BatchComparison, ErrorPair, Trend, compare
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


def test_errors_are_new_gone_or_increased_from_the_earlier_to_the_later(pair: tuple[Batch, Batch]) -> None:
    for page in (compare(*pair), compare(*pair[::-1])):
        assert (page.batch, page.other) == pair
        assert [(error.trend, error.error_type, error.one, error.other) for error in page.errors] == [
            ("new", "RateLimited", 0, 1),
            ("increased", "OutOfStock", 2, 3),
            ("gone", "NoRoute", 1, 0),
        ]


def test_counts_and_durations_are_side_by_side(pair: tuple[Batch, Batch]) -> None:
    page = compare(*pair)
    assert [(each.name, each.one, each.other) for each in page.children] == [("Failed", 3, 4), ("Completed", 2, 1)]
    assert [each.name for each in page.durations][::2] == ["Min", "p95", "Max"]
    assert [each.one for each in page.durations] == pytest.approx([1, 3, 5, 5, 5], rel=0.001)
    assert [each.other for each in page.durations] == pytest.approx([2, 6, 10, 10, 10], rel=0.001)
    assert page.histogram is not None
    assert page.histogram.ticks[::4] == pytest.approx([1, 10], rel=0.001)


def test_batches_of_different_sizes_are_compared_by_their_rates(operator: User, make_batch: MakeBatch) -> None:
    small, large = make_batch(60), make_batch(2_000, 100)
    Batch.objects.filter(pk=small.pk).update(items_failed=12, items_completed=48, children_failed=12)
    Batch.objects.filter(pk=large.pk).update(items_failed=99, items_completed=1_901, children_failed=20)
    page = compare(Batch.objects.get(pk=small.pk), Batch.objects.get(pk=large.pk))
    assert page.trend is Trend.DECREASED
    assert page.failures is not None
    assert page.failures.rates == pytest.approx((0.2, 0.0495))


@pytest.mark.parametrize(
    ("one", "other", "trend"),
    [
        ((12, 60), (99, 2_000), Trend.DECREASED),
        ((1, 10), (10, 100), Trend.SAME),
        ((1, 1_000), (2, 100), Trend.INCREASED),
        ((0, 10), (1, 5_000_000), Trend.NEW),
        ((1, 5_000_000), (0, 10), Trend.GONE),
        ((0, 10), (0, 0), Trend.SAME),
    ],
)
def test_trends_are_of_rates(one: tuple[int, int], other: tuple[int, int], trend: Trend) -> None:
    assert ErrorPair("s", "Error", "…", one[0], other[0], (one[1], other[1])).trend is trend


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
