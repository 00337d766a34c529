"""Runs of retention: what is due is deleted, and what came of that is recorded; or only said, in a dry run."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from django.utils import timezone

from dashboard.database.bulk import slices
from dashboard.database.deleting import Portions
from dashboard.models import DeletedBatch, PruneRun
from dashboard.retention.deletion import claim, delete, unfinished
from dashboard.retention.leftovers import left_over, take_away
from dashboard.retention.rules import Due, Policy, due
from dashboard.retention.weight import Scale, Weight

log = logging.getLogger(__name__)

SEEN_EVERY = 5.0
"""Seconds between signs of life of a run."""

WEIGHED_TOGETHER = 100
"""Batches whose rows are counted in one query."""


class AlreadyRunning(Exception):
    """Another run is deleting: nothing was done."""


@dataclass
class RuleTotal:
    """What one rule deletes: batches, rows, and estimated bytes in the database."""

    batches: int = 0
    rows: int = 0
    bytes: int = 0

    def add(self, weight: Weight) -> None:
        """Add one batch."""
        self.batches += 1
        self.rows += weight.rows
        self.bytes += weight.bytes


@dataclass(frozen=True)
class Preview:
    """What a run would delete: by rule, in words, and leftovers by kind; `unfinished` batches were begun before."""

    by_rule: Mapping[str, RuleTotal]
    others: Mapping[str, int]
    unfinished: int = 0

    @property
    def total(self) -> RuleTotal:
        """All rules together."""
        every = self.by_rule.values()
        return RuleTotal(
            sum(each.batches for each in every), sum(each.rows for each in every), sum(each.bytes for each in every)
        )


def preview(older_than: timedelta | None = None) -> Preview:
    """Return what a run would delete now. Deletes nothing."""
    now, scale, by_rule = timezone.now(), Scale(), dict[str, RuleTotal]()
    for some in slices(list(due(Policy.now(older_than), now)), WEIGHED_TOGETHER):
        weights = scale.weigh([each.batch for each in some])
        for each in some:
            by_rule.setdefault(each.rule, RuleTotal()).add(weights[each.batch])
    return Preview(by_rule, left_over(now), len(unfinished()))


@dataclass
class _Run:
    """A run that deletes, and its record."""

    record: PruneRun
    beat: Callable[[], None]
    totals: dict[str, RuleTotal] = field(default_factory=dict)
    _saved: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.portions = Portions(self._seen)

    def _seen(self) -> None:
        self.beat()
        if time.monotonic() - self._saved > SEEN_EVERY:
            self.save()

    def save(self) -> None:
        """Write down how far it is."""
        self._saved = time.monotonic()
        record = self.record
        record.seen_at, record.rows, record.longest = timezone.now(), self.portions.rows, self.portions.longest
        record.batches = sum(each.batches for each in self.totals.values())
        record.bytes = sum(each.bytes for each in self.totals.values())
        record.by_rule = {rule: vars(each) for rule, each in self.totals.items()}
        record.save()

    def resume(self) -> None:
        """Finish what a run before this one has begun."""
        for batch_id in unfinished():
            kept = DeletedBatch.objects.get(pk=batch_id)
            delete(batch_id, self.portions)
            self.totals.setdefault(kept.rule, RuleTotal()).add(Weight(kept.rows, kept.bytes))

    def delete_due(self, policy: Policy) -> None:
        """Delete the batches that are due, one after another."""
        scale = Scale()
        for some in slices(list(due(policy, timezone.now())), WEIGHED_TOGETHER):
            weights = scale.weigh([each.batch for each in some])
            for each in some:
                self._delete(each, weights[each.batch], policy)

    def _delete(self, each: Due, weight: Weight, policy: Policy) -> None:
        self._seen()
        if claim(each, weight, policy, self.record.started_by):
            delete(each.batch, self.portions)
            self.totals.setdefault(each.rule, RuleTotal()).add(weight)


def prune(by: str, older_than: timedelta | None = None, beat: Callable[[], None] = lambda: None) -> PruneRun:
    """Delete what is due, and return the record. `beat` is called after each portion. Raises AlreadyRunning.

    What one that was stopped had begun is finished first.
    """
    now = timezone.now()
    if PruneRun.objects.filter(ended_at=None, seen_at__gt=now - PruneRun.STOPPED_AFTER).exists():
        raise AlreadyRunning
    run = _Run(PruneRun.objects.create(started_by=by[:150], seen_at=now), beat)
    try:
        run.resume()
        run.delete_due(Policy.now(older_than))
        run.record.others = take_away(run.portions, now)
    except BaseException as error:
        run.record.error = f"{type(error).__name__}: {error}"[:1_000]
        raise
    finally:
        run.record.ended_at = timezone.now()
        run.save()
    log.info("Retention deleted %s batches and %s rows in all.", run.record.batches, run.record.rows)
    return run.record
