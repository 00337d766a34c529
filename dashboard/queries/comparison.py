"""Comparison of two batches of one processor: counts, durations of children, and errors. Reads only."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any

from django.utils.translation import gettext_lazy

from dashboard.i18n.formatting import StrOrPromise
from dashboard.live.state import LARGE_COLUMNS
from dashboard.models import BY_INTEREST, FAILURES, Batch, DeletedBatch
from dashboard.queries.batch_map import map_of, seconds_from_code
from dashboard.queries.error_groups import Failures, Sample, failures_of
from orchestration.errors.signatures import template_of

OFFERED = 50
"""Batches that are offered to compare with, the newest."""

SAME_RATE = 0.0005
"""Rates that differ by less are called the same: both are shown with a tenth of a percent."""

BINS = 40
WIDTH, HEIGHT = 1_000, 120

QUANTILES = (
    (gettext_lazy("Min"), 0.0),
    (gettext_lazy("p50"), 0.5),
    (gettext_lazy("p95"), 0.95),
    (gettext_lazy("p99"), 0.99),
    (gettext_lazy("Max"), 1.0),
)


class Trend(StrEnum):
    """How a rate changed from the earlier batch to the later one, worst first."""

    NEW = "new"
    INCREASED = "increased"
    SAME = "same"
    DECREASED = "decreased"
    GONE = "gone"

    @classmethod
    def of(cls, one: float, other: float) -> Trend:
        """Compare two rates, which are the same where a person could not tell them apart."""
        if not one or not other:
            return cls.SAME if one == other else (cls.NEW if other else cls.GONE)
        if abs(other - one) < SAME_RATE:
            return cls.SAME
        return cls.INCREASED if other > one else cls.DECREASED


@dataclass(frozen=True)
class NumberPair:
    """A number of both batches, and its name. Of counts, `wholes` are the totals of which they are a part."""

    name: StrOrPromise
    one: float | None
    other: float | None
    wholes: tuple[int, int] | None = None

    @property
    def change(self) -> float:
        """The second number minus the first; of counts, the difference of their rates."""
        if self.rates is not None:
            return self.rates[1] - self.rates[0]
        return (self.other or 0) - (self.one or 0)

    @property
    def rates(self) -> tuple[float, float] | None:
        """The rates of counts, from 0 to 1."""
        if self.wholes is None:
            return None
        return (self.one or 0) / (self.wholes[0] or 1), (self.other or 0) / (self.wholes[1] or 1)


@dataclass(frozen=True)
class ErrorPair:
    """An error, how often each batch has it, and of how many: batches of different sizes compare by their rates."""

    signature: str
    error_type: str
    template: str
    one: int
    other: int
    wholes: tuple[int, int]

    @property
    def rates(self) -> tuple[float, float]:
        """The rates of both batches, from 0 to 1."""
        return self.one / (self.wholes[0] or 1), self.other / (self.wholes[1] or 1)

    @property
    def trend(self) -> Trend:
        """How its rate changed from the earlier batch to the later one."""
        return Trend.of(*self.rates)


@dataclass(frozen=True)
class Histogram:
    """The distribution of both batches' durations, as outlines of WIDTH and HEIGHT. The axis is logarithmic; `ticks`
    are its quarters, in seconds.
    """

    one: str
    other: str
    ticks: Sequence[float]


@dataclass(frozen=True)
class BatchComparison:
    """Context of the page. Without an `other` batch it only has those on offer."""

    batch: Batch | DeletedBatch
    other: Batch | DeletedBatch | None
    offered: Sequence[Batch | DeletedBatch]
    children: Sequence[NumberPair] = ()
    items: Sequence[NumberPair] = ()
    durations: Sequence[NumberPair] = ()
    histogram: Histogram | None = None
    errors: Sequence[ErrorPair] = ()
    failures: NumberPair | None = None

    @property
    def trend(self) -> Trend:
        """How the failure rate changed: it increases from 0 and decreases to it."""
        assert self.failures is not None
        assert self.failures.rates is not None
        found = Trend.of(*self.failures.rates)
        return {Trend.NEW: Trend.INCREASED, Trend.GONE: Trend.DECREASED}.get(found, found)


def candidates(batch: Batch, chosen: Batch | DeletedBatch | None = None) -> list[Batch | DeletedBatch]:
    """Return other batches of the same processor, the newest first; with the chosen one, however old or deleted."""
    others = Batch.objects.filter(processor=batch.processor).exclude(pk=batch.pk)
    found: list[Batch | DeletedBatch] = list(others.defer(*LARGE_COLUMNS).select_related("launched_by")[:OFFERED])
    if chosen is not None and chosen.pk not in {each.pk for each in found}:
        found.append(chosen)
    return found


def compare(batch: Batch, other: Batch | DeletedBatch) -> BatchComparison:
    """Compare an earlier batch (the first) with a later one, whichever way round they are given.

    Of one that was deleted, what is kept is compared: counts, a sample of its durations, and its largest errors.
    """
    pair: list[Batch | DeletedBatch] = [batch, other]
    one, two = sorted(pair, key=lambda each: each.created_at)
    durations = _durations(one), _durations(two)
    return BatchComparison(
        batch=one,
        other=two,
        offered=candidates(batch, other),
        children=_counts(one.children, two.children, (one.child_count, two.child_count)),
        items=_counts(one.items_by_status, two.items_by_status, (one.item_count, two.item_count)),
        durations=[
            NumberPair(name, _quantile(share, durations[0]), _quantile(share, durations[1]))
            for name, share in QUANTILES
        ],
        histogram=_histogram(*durations),
        errors=_errors(one, two),
        failures=_failure_rates(one, two),
    )


def _failure_rates(one: Batch | DeletedBatch, other: Batch | DeletedBatch) -> NumberPair:
    """Return how many items failed; children, where there are no items."""
    if one.item_count and other.item_count:
        return NumberPair(
            gettext_lazy("Failed items"), _failed_items(one), _failed_items(other), (one.item_count, other.item_count)
        )
    wholes = one.child_count, other.child_count
    return NumberPair(gettext_lazy("Failed children"), _failed_children(one), _failed_children(other), wholes)


def _failed_items(batch: Batch | DeletedBatch) -> int:
    return sum(batch.items_by_status[status.value] for status in FAILURES)


def _failed_children(batch: Batch | DeletedBatch) -> int:
    return sum(batch.children[status.value] for status in FAILURES)


def _counts(one: dict[str, int], other: dict[str, int], wholes: tuple[int, int]) -> list[NumberPair]:
    pairs = (NumberPair(str(each.label), one[each.value], other[each.value], wholes) for each in BY_INTEREST)
    return [pair for pair in pairs if pair.one or pair.other]


def _durations(batch: Batch | DeletedBatch) -> list[int]:
    """Return the durations of children as codes of the map, sorted."""
    if isinstance(batch, DeletedBatch):
        return batch.durations
    return sorted(code for code in map_of(batch).durations if code)


def _quantile(share: float, codes: Sequence[int]) -> float | None:
    return seconds_from_code(codes[min(len(codes) - 1, int(share * len(codes)))]) if codes else None


def _histogram(one: Sequence[int], other: Sequence[int]) -> Histogram | None:
    """Outline both, each relative to its own number of children, so that batches of any size compare."""
    if not one or not other:
        return None
    low, high = min(one[0], other[0]), max(one[-1], other[-1]) + 1
    step = max(1, (high - low) / BINS)
    edges = [low + step * place for place in range(BINS + 1)]
    shares = [[count / len(codes) for count in _binned(codes, edges)] for codes in (one, other)]
    most = max(max(each) for each in shares)
    ticks = [seconds_from_code(round(low + (high - 1 - low) * quarter / 4)) for quarter in range(5)]
    return Histogram(_outline(shares[0], most), _outline(shares[1], most), ticks)


def _binned(codes: Sequence[int], edges: Sequence[float]) -> list[int]:
    places = [bisect_left(codes, edge) for edge in edges]
    return [after - before for before, after in pairwise(places)]


def _outline(shares: Sequence[float], most: float) -> str:
    points = [f"M0 {HEIGHT}"]
    for place, share in enumerate(shares):
        y = round(HEIGHT - (HEIGHT - 2) * share / most, 1)
        points.append(f"L{WIDTH * place // BINS} {y}L{WIDTH * (place + 1) // BINS} {y}")
    return "".join([*points, f"L{WIDTH} {HEIGHT}Z"])


def _errors(one: Batch | DeletedBatch, other: Batch | DeletedBatch) -> list[ErrorPair]:
    before, after = _failures(one), _failures(other)
    both = {**before, **after, **before}  # samples of the earlier batch, where it has one
    pairs = [
        ErrorPair(
            signature=signature,
            error_type=sample.error_type,
            template=template_of(sample.message),
            one=before[signature].number if signature in before else 0,
            other=after[signature].number if signature in after else 0,
            wholes=(one.item_count, other.item_count) if each.of_items else (one.child_count, other.child_count),
        )
        for signature, each in both.items()
        if (sample := each.sample) is not None
    ]
    order = list(Trend)
    return sorted(pairs, key=lambda pair: (order.index(pair.trend), -pair.other, -pair.one))


def _failures(batch: Batch | DeletedBatch) -> dict[str, Failures]:
    """Return the present failures of a batch, by signature."""
    if isinstance(batch, DeletedBatch):
        return {each["signature"]: _kept(each) for each in batch.errors}
    found = sorted(failures_of(batch), key=lambda each: not each.of_items)
    return {each.signature: each for each in found if each.number}


def _kept(error: Mapping[str, Any]) -> Failures:
    """Return the failures of a deleted batch with one signature."""
    sample = Sample(error["error_type"], error["template"])
    return Failures(error["signature"], error["of_items"], sample, Counter(failed=error["number"]))
