"""Actions on several batches at once: how much each would affect, and what came of it. Each batch is audited alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from django.db import models
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from dashboard.accounts.permissions import Person
from dashboard.actions import batch as batch_actions
from dashboard.actions import labels, operations
from dashboard.actions.targets import FAILED, UNFINISHED, Targets
from dashboard.errors import OperationError
from dashboard.models import Batch, BatchStatus, NodeStatus
from dashboard.models.tallies import failed_children, open_children
from orchestration.contracts.status import Status


class BulkAction(models.TextChoices):
    """What can be done to several batches."""

    RETRY = "retry", gettext_lazy("Retry")
    CANCEL = "cancel", gettext_lazy("Cancel")
    TAG = "tag", gettext_lazy("Tag")


@dataclass(frozen=True)
class Affected:
    """A batch and how many of its children an action affects, or why it affects none."""

    batch: Batch
    children: int = 0
    reason: str = ""


@dataclass(frozen=True)
class BulkOutcome:
    """What an action affects, or affected: batches and their children, and the batches that it leaves alone."""

    action: BulkAction
    affected: Sequence[Affected]
    left_alone: Sequence[Affected]

    @property
    def children(self) -> int:
        """All children together."""
        return sum(each.children for each in self.affected)


def preview(action: BulkAction, batches: Iterable[Batch]) -> BulkOutcome:
    """Return what an action would affect, without doing it."""
    return _outcome(action, batches, lambda batch: _expected(action, batch))


def carry_out(person: Person, action: BulkAction, batches: Iterable[Batch], tags: Sequence[str] = ()) -> BulkOutcome:
    """Do it to each batch, and return what was done. Raises PermissionDenied."""
    return _outcome(action, batches, lambda batch: _done(person, action, batch, tags))


def _outcome(action: BulkAction, batches: Iterable[Batch], ask: Callable[[Batch], Affected]) -> BulkOutcome:
    found = [ask(batch) for batch in batches]
    return BulkOutcome(action, [each for each in found if not each.reason], [each for each in found if each.reason])


def _expected(action: BulkAction, batch: Batch) -> Affected:
    if action is BulkAction.TAG:
        return Affected(batch)
    if action is BulkAction.CANCEL:
        if not batch.is_open:
            return Affected(batch, reason=_("It has already finished."))
        return Affected(batch, open_children(batch))
    if batch.status == BatchStatus.PENDING:
        return Affected(batch, reason=_("It has not started yet."))
    if batch.status == BatchStatus.ROLLED_BACK:
        return Affected(batch, reason=_("It was rolled back."))
    if _continues(batch):
        unfinished = sum(batch.children[status.value] for status in Status if status.is_retryable)
        return Affected(batch, unfinished)
    number = failed_children(batch)
    return (
        Affected(batch, number) if number else Affected(batch, reason=_("No child failed: there is nothing to retry."))
    )


def _continues(batch: Batch) -> bool:
    """Whether a retry continues a flow where it stopped."""
    return batch.may_go_on and not batch.is_open and batch.root_status != NodeStatus.COMPLETED


def _done(person: Person, action: BulkAction, batch: Batch, tags: Sequence[str]) -> Affected:
    try:
        if action is BulkAction.RETRY:
            targets = Targets(status=UNFINISHED if _continues(batch) else FAILED)
            result = operations.retry(person, batch, targets)
            if not result.accepted and not result.resumes_flow:
                reasons = sorted({each.reason for each in result.refused})
                return Affected(
                    batch, reason=_("Nothing was retried.") + (f" {', '.join(reasons)}." if reasons else "")
                )
            return Affected(batch, len(result.accepted))
        if action is BulkAction.CANCEL:
            batch_actions.cancel(person, batch)
            return Affected(batch, open_children(batch))
        labels.add_tags(person, batch, tags)
        return Affected(batch)
    except OperationError as error:
        return Affected(batch, reason=error.message)
