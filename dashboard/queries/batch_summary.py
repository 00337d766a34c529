"""How a batch fares, in a line: its worst error, and once it has ended how it compares with the run before it."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.live.state import LARGE_COLUMNS
from dashboard.models import Batch, Node, NodeStatus
from dashboard.models.tallies import failures
from dashboard.queries.error_groups import ErrorGroup, failures_of, group_of
from orchestration.contracts.events import NodeKind

ENOUGH = 0.01
"""A change of the duration that is worth a word, as a share."""


@dataclass(frozen=True)
class Finish:
    """How many seconds a batch took, and what is different from the run of its processor before it, of as many items.

    `share` is the change of the duration as a share, negative where it was faster; None where it is not known or not
    worth a word. `more` is how many more failed.
    """

    seconds: float
    previous: Batch | None = None
    share: float | None = None
    more: int = 0

    @property
    def faster(self) -> float:
        """By what share it was faster; 0 if it was not."""
        return max(0.0, -(self.share or 0))

    @property
    def slower(self) -> float:
        """By what share it was slower; 0 if it was not."""
        return max(0.0, self.share or 0)

    @property
    def fewer(self) -> int:
        """How many fewer failed; 0 if not fewer."""
        return max(0, -self.more)


@dataclass(frozen=True)
class Summary:
    """What fails now: how many items or children, of how many causes, and the largest of them. Later how it ended.

    `reason` is why its own workflow did not complete, where no child failed.
    """

    failed: int
    causes: int
    worst: ErrorGroup | None
    finish: Finish | None
    reason: str = ""


def summary_of(batch: Batch) -> Summary:
    """Return how a batch fares."""
    failed = failures(batch)
    found = (
        sorted((each for each in failures_of(batch) if each.number), key=lambda each: -each.number) if failed else []
    )
    worst = group_of(batch, found[0], found[0].number) if found else None
    return Summary(failed, len(found), worst, finish_of(batch), "" if failed or batch.is_open else _reason_of(batch))


def _reason_of(batch: Batch) -> str:
    """Return why the workflow of a batch did not complete; nothing if it did."""
    if batch.root_status == NodeStatus.COMPLETED:
        return ""
    root = Node.objects.filter(batch=batch, kind=NodeKind.ROOT).only("error_message", "note").get()
    return root.error_message or root.note


def previous_of(batch: Batch) -> Batch | None:
    """Return the newest earlier batch of the same processor, or of the same definition, that has ended."""
    earlier = Batch.objects.filter(processor=batch.processor, created_at__lt=batch.created_at, watched_id="")
    if batch.definition is not None:
        earlier = earlier.filter(definition__definition=batch.definition.definition_id)
    return earlier.exclude(closed_at=None).defer(*LARGE_COLUMNS).order_by("-created_at", "-id").first()


def finish_of(batch: Batch) -> Finish | None:
    """Return how a batch ended; None while it is open, or if it never ran."""
    took = _took(batch)
    if batch.is_open or took is None:
        return None
    previous = previous_of(batch) if not batch.watched_id else None
    if previous is None or previous.item_count != batch.item_count:
        return Finish(took, previous)
    return Finish(took, previous, _change(batch, previous), failures(batch) - failures(previous))


def _change(batch: Batch, previous: Batch) -> float | None:
    """Return the change of the duration as a share; None where it says nothing, as after a retry."""
    took, before = _took(batch), _took(previous)
    if not took or not before or batch.done_at_open or previous.done_at_open:
        return None
    share = took / before - 1
    return share if abs(share) >= ENOUGH else None


def _took(batch: Batch) -> float | None:
    """Return the seconds that a batch's newest run took, without pauses and holds."""
    return batch.elapsed(batch.closed_at) if batch.closed_at is not None else None
