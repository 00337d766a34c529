"""What a person needs to decide about an error: whom it affects, whether a retry can help, whether it is new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.models import Batch, Item, Node
from dashboard.queries.batch_summary import previous_of
from dashboard.queries.error_groups import ErrorGroup, error_groups, failed_items, failing_children
from orchestration.contracts.events import NodeKind
from orchestration.errors.kinds import FINAL_ADVICE, NEEDS_CHANGE, error_kind
from orchestration.processors.catalogue import processors

SHOWN = 50
"""Groups of the table, the largest ones."""

KEYS_SHOWN = 3


@dataclass(frozen=True)
class Affected:
    """An item that fails, by its index, or a child by the id of its node; with its key."""

    key: str
    index: int | None = None
    node: int | None = None


@dataclass(frozen=True)
class ErrorDetails:
    """A group, some of what it affects, and what to do instead of a retry: empty where a retry can help.

    `is_new` says that the run before of the same processor did not have it.
    """

    group: ErrorGroup
    affected: Sequence[Affected]
    remedy: str
    is_new: bool

    @property
    def more(self) -> int:
        """How many more it affects."""
        return max(0, self.group.number - len(self.affected))


@dataclass(frozen=True)
class ErrorTable:
    """The largest groups, how many more there are, and the run before with which they are compared."""

    rows: Sequence[ErrorDetails]
    more: int
    previous: Batch | None


def error_table(batch: Batch) -> ErrorTable:
    """Return the errors of a batch, the largest first."""
    found = error_groups(batch, SHOWN)
    previous = previous_of(batch) if found.shown and not batch.watched_id else None
    known = _signatures(previous, [group.signature for group in found.shown]) if previous is not None else None
    final = _final_types(batch)
    rows = [
        ErrorDetails(
            group,
            _affected(batch, group),
            _remedy(group.error_type, final),
            is_new=known is not None and group.signature not in known,
        )
        for group in found.shown
    ]
    return ErrorTable(rows, found.more, previous)


def _signatures(batch: Batch, asked: Sequence[str]) -> set[str]:
    """Return which of some signatures a batch has had."""
    items = Item.objects.filter(batch=batch, signature__in=asked).values_list("signature", flat=True).distinct()
    children = Node.objects.filter(batch=batch, kind=NodeKind.CHILD, signature__in=asked)
    return {each for each in (*items, *children.values_list("signature", flat=True).distinct()) if each}


def _affected(batch: Batch, group: ErrorGroup) -> list[Affected]:
    if group.of_items:
        items = failed_items(batch).filter(signature=group.signature).order_by("index")
        return [Affected(key, index=index) for key, index in items.values_list("key", "index")[:KEYS_SHOWN]]
    children = failing_children(batch, group.signature).order_by("position")[:KEYS_SHOWN]
    return [Affected(child.label or child.key_first or f"#{child.position}", node=child.pk) for child in children]


def _final_types(batch: Batch) -> set[str]:
    """Return the types of errors after which neither processor nor plan tries again."""
    found = processors().get(batch.processor)
    types = {each.__name__ for each in found.non_retryable} if found is not None else set[str]()
    given = str(batch.plan_data.get("non_retryable") or "")
    return types | {name.strip() for name in given.split(",") if name.strip()}


def _remedy(error_type: str, final: set[str]) -> str:
    """Return what to do where a retry alone fails again; else nothing."""
    kind = error_kind(error_type)
    if kind in NEEDS_CHANGE:
        return kind.advice
    return FINAL_ADVICE if error_type in final else ""
