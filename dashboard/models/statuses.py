"""The one model of status: what a batch, a stage, a partition or a child is called, by itself and by what is below it.

Pure. A batch stores what `tallies.batch_status` makes of this; a node stores the status of its own workflow alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from dashboard.models.choices import FAILURES, HALTED, BatchStatus, NodeStatus

_LABELS = dict(BatchStatus.choices) | dict(NodeStatus.choices)
_WITHOUT_WORKER = (NodeStatus.RUNNING, BatchStatus.SCHEDULED)
_LEFT = (NodeStatus.CANCELED, NodeStatus.SKIPPED)


def outcome_of(children: Mapping[str, int], items_completed: int) -> BatchStatus:
    """Return the status of what ended normally, by the statuses of the children below it.

    Completed only where all are; partially failed where something completed; else failed, or canceled without any
    failure. Where all are skipped none failed, so it stays partially failed, and `status_words` says skipped.
    """
    completed = children[NodeStatus.COMPLETED]
    if completed == sum(children.values()):
        return BatchStatus.COMPLETED
    if completed or items_completed:
        return BatchStatus.COMPLETED_WITH_FAILURES
    if any(children[status] for status in FAILURES):
        return BatchStatus.FAILED
    return BatchStatus.CANCELED if children[NodeStatus.CANCELED] else BatchStatus.COMPLETED_WITH_FAILURES


def status_of_run(own: str, batch_status: str) -> str:
    """Return the status of a child or a step: one that runs is scheduled where no worker serves its batch."""
    return str(BatchStatus.SCHEDULED if (own, batch_status) == _WITHOUT_WORKER else own)


def shown_counts(counts: Mapping[str, int], batch_status: str) -> dict[str, int]:
    """Return counts of children or items by the statuses that people see."""
    is_waiting = batch_status == BatchStatus.SCHEDULED
    running = counts[NodeStatus.RUNNING]
    shown = {BatchStatus.SCHEDULED.value: running if is_waiting else 0}
    return {**counts, NodeStatus.RUNNING.value: 0 if is_waiting else running, **shown}


def status_of_parent(
    own: str, children: Mapping[str, int], items_completed: int, batch_status: str
) -> NodeStatus | BatchStatus:
    """Return the status of a stage or partition: an open one is what its batch is, and the worst goes up."""
    if own == NodeStatus.RUNNING and batch_status in (*HALTED, BatchStatus.SCHEDULED):
        return BatchStatus(batch_status)
    if own != NodeStatus.COMPLETED:
        return NodeStatus(own)
    if children[NodeStatus.PENDING] or children[NodeStatus.RUNNING]:
        return NodeStatus.RUNNING
    return outcome_of(children, items_completed)


def status_label(status: str) -> str:
    """Return the label of a status of a batch, node or item."""
    return str(_LABELS.get(status, status))


def status_words(status: str, children: Mapping[str, int]) -> str:
    """Return a status as words: its label, or what was left out where nothing failed: Completed, 3 skipped.

    The script static/js/lib/format.js has the same words.
    """
    if status != BatchStatus.COMPLETED_WITH_FAILURES or any(children[each] for each in FAILURES):
        return status_label(status)
    if not children[NodeStatus.COMPLETED]:
        return status_label(NodeStatus.SKIPPED)
    left = [f"{number_format(children[each], force_grouping=True)} {_LABELS[each].lower()}" for each in _LEFT]
    shown = [words for each, words in zip(_LEFT, left, strict=True) if children[each]]
    return _("Completed, %(counts)s") % {"counts": ", ".join(shown)}


GATE = gettext_noop("No child starts until an operator approves.")
_FAILED = re.compile(r"([\d,]+) of ([\d,]+) children failed(?:, ([\d,]+) tolerated)?\.")


def held_words(reason: str) -> str:
    """Return why a batch is held, in the reader's language: what the engine says itself, or the title of a gate.

    The script static/js/live/reading.js has the same words.
    """
    if not (said := _FAILED.fullmatch(reason)):
        return _(reason) if reason == GATE else reason
    failed, total, tolerated = (int(part.replace(",", "")) for part in said.groups(default="0"))
    words = ngettext("%(failed)s of %(total)s child failed.", "%(failed)s of %(total)s children failed.", total)
    if said[3]:
        words = ngettext(
            "%(failed)s of %(total)s child failed, %(tolerated)s tolerated.",
            "%(failed)s of %(total)s children failed, %(tolerated)s tolerated.",
            total,
        )
    numbers = {"failed": failed, "total": total, "tolerated": tolerated}
    return words % {name: number_format(number, force_grouping=True) for name, number in numbers.items()}
