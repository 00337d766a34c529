"""Rules: how long a batch is kept, and which are due. Reads only.

Of several rules that fit a batch the one that keeps it longest counts, so that no new rule shortens what another one
promises. The default counts where none fits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce

from dashboard.database.bulk import slices
from dashboard.models import OPEN_BATCH_STATUSES, Batch, BatchTag, RetentionRule, UnansweredCommand

UNTOUCHED_FOR = timedelta(minutes=10)
"""A batch that somebody has done something to more recently is left to the next run."""

SCHEDULED_LATELY = timedelta(days=1)
"""A launch by a schedule is tried again for so long, and finds by its row that it was done."""

DEFAULT = "default (CANOPY_RETENTION_DAYS): {days} days"
OLDER_THAN = "older than {age}, as asked for"


@dataclass(frozen=True)
class Decision:
    """How long a batch is kept after it closed, None for ever, and what says so, in words."""

    kept: timedelta | None
    rule: str


@dataclass(frozen=True)
class Due:
    """A batch that is to be deleted, by what, and when it closed."""

    batch: str
    rule: str
    closed_at: datetime


FOR_EVER = Decision(None, "")


@dataclass(frozen=True)
class Policy:
    """All rules, and what counts where none fits."""

    rules: Sequence[RetentionRule]
    default: Decision = FOR_EVER

    @classmethod
    def now(cls, older_than: timedelta | None = None) -> Policy:
        """Return the policy as it is; `older_than` takes the place of the default."""
        if older_than is not None:
            return cls(
                list(RetentionRule.objects.all()), Decision(older_than, OLDER_THAN.format(age=in_words(older_than)))
            )
        days = settings.CANOPY_RETENTION_DAYS
        default = Decision(timedelta(days=days), DEFAULT.format(days=days)) if days > 0 else FOR_EVER
        return cls(list(RetentionRule.objects.all()), default)

    @property
    def deletes(self) -> bool:
        """Whether anything is ever deleted."""
        return self.shortest is not None

    @property
    def shortest(self) -> timedelta | None:
        """The shortest time after which a batch may be deleted."""
        ages = [timedelta(days=rule.days) for rule in self.rules if rule.days is not None]
        ages += [self.default.kept] if self.default.kept is not None else []
        return min(ages, default=None)

    def of(self, batch: Batch, tags: Sequence[str]) -> Decision:
        """Return how long a batch is kept: of the rules that fit, the one that keeps it longest."""
        fitting = [rule for rule in self.rules if fits(rule, batch, tags)]
        if not fitting:
            return self.default
        longest = max(fitting, key=lambda rule: (rule.days is None, rule.days or 0))
        return Decision(None if longest.days is None else timedelta(days=longest.days), str(longest))


def fits(rule: RetentionRule, batch: Batch, tags: Sequence[str]) -> bool:
    """Whether all conditions of a rule hold for a batch with these tags."""
    return (
        rule.processor in ("", batch.processor)
        and (not rule.tag or rule.tag in tags)
        and rule.label.casefold() in batch.label.casefold()
        and rule.outcome in ("", batch.status)
    )


def due(policy: Policy, now: datetime) -> Iterator[Due]:
    """Yield the batches that are to be deleted, those that closed first before others."""
    if (shortest := policy.shortest) is None:
        return
    found = deletable(now).filter(ended_at__lte=now - shortest).order_by("ended_at", "pk")
    fields = ("pk", "processor", "label", "status", "ended_at")
    for some in slices(list(found.values_list("pk", flat=True))):
        tags = dict[str, list[str]]()
        for batch, tag in BatchTag.objects.filter(batch__in=some).values_list("batch", "name"):
            tags.setdefault(batch, []).append(tag)
        for row in found.filter(pk__in=some).values_list(*fields):
            pk, processor, label, status, ended_at = row
            decision = policy.of(Batch(pk=pk, processor=processor, label=label, status=status), tags.get(pk, ()))
            if decision.kept is not None and ended_at <= now - decision.kept:
                yield Due(pk, decision.rule, ended_at)


def deletable(now: datetime) -> QuerySet[Any]:
    """Return the batches that may be deleted at all, with `ended_at`.

    Not what is open, held or scheduled, of which something may still run, which is to be kept, was acted on a moment
    ago or launched by a schedule of late, or of which a command to Temporal has no answer yet.
    """
    touched = Q(acted_at__isnull=False, acted_at__gt=now - UNTOUCHED_FOR)
    may_be_launched_again = Q(schedule__isnull=False, created_at__gt=now - SCHEDULED_LATELY)
    closed = Batch.objects.exclude(status__in=OPEN_BATCH_STATUSES).exclude(touched).exclude(may_be_launched_again)
    over = closed.filter(children_running=0, children_pending=0, keep=False)
    asking = UnansweredCommand.objects.filter(batch=OuterRef("pk"), settled_at=None)
    return over.filter(~Exists(asking)).annotate(ended_at=Coalesce(F("closed_at"), F("created_at")))


def in_words(age: timedelta) -> str:
    """Return an age as it is typed: 30d, 12h, 90s."""
    seconds = int(age.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def age_of(text: str) -> timedelta:
    """Return an age from what is typed: 30d, 12h, 45m, 90s, or a number of days. Raises ValueError."""
    number, unit = text.strip(), "d"
    if number and number[-1] in "dhms":
        number, unit = number[:-1], number[-1]
    if not (number.isascii() and number.isdecimal()):
        raise ValueError(f"{text!r} is no age. Write 30d, 12h, 45m, 90s, or a number of days.")
    size = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}[unit]
    try:
        return timedelta(**{size: int(number)})
    except OverflowError as error:
        raise ValueError(f"{text!r} is longer than any batch can be kept.") from error
