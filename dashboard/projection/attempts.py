"""Attempts: the runs of a node, numbered by start time, of which a node shows the newest.

A node for which a retry was accepted is reserved: pending, with the number of its next attempt, until that run starts
or the reservation is released.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from django.utils import timezone

from dashboard.database.sanitising import text
from dashboard.models import Attempt, Node
from orchestration.contracts.events import EventKind, NodeKind, TreeEvent
from orchestration.contracts.status import RESULTS_LOST, Failure, Status

ATTEMPT_STATE = ("number", "status", "started_at", "closed_at", "error_type", "error_message")
NODE_FIELDS = ("run_id", "status", "started_at", "closed_at", "error_type", "error_message")

ENDED_WITH_PARENT = Failure("EndedWithParent", "It ended when the workflow that it was part of was ended.")
"""Of what is no workflow of its own. How its parent says that it ended, if that arrives late, counts instead."""

Runs = dict[str, Attempt]


def begun_again(node: Node, run_id: str) -> TreeEvent:
    """Return the event that another run of a node has started just now: after its last one, whatever our clock says."""
    last = node.closed_at or node.started_at or timezone.now()
    return TreeEvent(EventKind.STARTED, node.workflow_id, run_id, max(timezone.now(), last))


def runs_of(nodes: Iterable[Node]) -> defaultdict[int, Runs]:
    """Return the known runs of each node: {node id: {run id: attempt}}."""
    runs = defaultdict[int, Runs](dict)
    for attempt in Attempt.objects.filter(node__in=nodes).order_by():
        runs[attempt.node_id][attempt.run_id] = attempt
    return runs


def record_events(node: Node, runs: Runs, events: Iterable[TreeEvent]) -> list[Attempt]:
    """Record events in a node's runs, and return the attempts that changed; a new one has no primary key yet."""
    changed = dict[str, Attempt]()
    for event in events:
        attempt = runs.get(event.run_id)
        if attempt is None:
            attempt = runs[event.run_id] = Attempt(batch_id=node.batch_id, node=node, number=0, run_id=event.run_id)
        if _record_event(attempt, event):
            changed[event.run_id] = attempt
    for number, attempt in enumerate(sorted(runs.values(), key=_start_order), start=1):
        if attempt.number != number:
            attempt.number = number
            changed[attempt.run_id] = attempt
    return list(changed.values())


def _start_order(attempt: Attempt) -> tuple[datetime, str]:
    """Return what orders the runs of a node. One starts after the last has closed, so either time will do."""
    time = attempt.started_at or attempt.closed_at
    assert time is not None, "an event sets one of them"
    return time, attempt.run_id


def _record_event(attempt: Attempt, event: TreeEvent) -> bool:
    """Record an event in its run, and return whether the run changed.

    Parent and reconciler may report different times for one run, and a root may report an outcome that it did not end
    with. The earliest start and the latest close count, so that the order of arrival does not matter.
    """
    if event.kind is EventKind.STARTED:
        is_earlier = attempt.started_at is None or event.at < attempt.started_at
        if is_earlier:
            attempt.started_at = event.at
        return is_earlier
    if event.kind is EventKind.REOPENED:
        is_later = attempt.closed_at is not None and event.at > attempt.closed_at
        if is_later:
            attempt.status, attempt.closed_at, attempt.error_type, attempt.error_message = Status.RUNNING, None, "", ""
        return is_later
    outcome = event.outcome or Status.COMPLETED
    is_assumed = attempt.error_type == ENDED_WITH_PARENT.type
    if (
        attempt.closed_at is not None
        and not is_assumed
        and (event.at, outcome.value) <= (attempt.closed_at, attempt.status)
    ):
        return False
    attempt.status, attempt.closed_at = outcome, event.at
    attempt.error_type = text(event.failure.type[:200]) if event.failure else ""
    attempt.error_message = text(event.failure.message) if event.failure else ""
    return True


def show_closing_note(node: Node, events: Iterable[TreeEvent]) -> None:
    """Show the note of the event that closed a node's newest run."""
    for event in events:
        if event.kind is EventKind.CLOSED and event.note and event.run_id == node.run_id:
            node.note = text(event.note)


def is_reserved(node: Node) -> bool:
    """Whether a node waits for its next run. One that never ran is pending with attempt 0."""
    return node.status == Status.PENDING and node.attempt > 0


def show_newest(node: Node, runs: Runs) -> None:
    """Show a node's newest run, unless a later one is reserved."""
    newest = max(runs.values(), key=lambda attempt: attempt.number)
    if is_reserved(node) and newest.run_id == node.run_id:
        node.attempt = len(runs) + 1
    else:
        _show(node, newest)


def _show(node: Node, attempt: Attempt) -> None:
    node.attempt = attempt.number
    status = Status.COMPLETED if node.error_type == RESULTS_LOST else node.status
    is_changed = (node.run_id, status) != (attempt.run_id, attempt.status)
    if is_changed and node.kind != NodeKind.STAGE:  # a stage's note counts the items that it passed on
        node.note = ""
    for name in NODE_FIELDS:
        setattr(node, name, getattr(attempt, name))


def reserve(nodes: Sequence[Node]) -> dict[int, Runs]:
    """Set nodes to pending with the number of their next attempt, and return the runs that they have."""
    runs = runs_of(nodes)
    for node in nodes:
        node.attempt, node.status = len(runs[node.pk]) + 1, Status.PENDING
        node.started_at = node.closed_at = None
        node.error_type = node.error_message = ""
    return runs


def release(nodes: Sequence[Node]) -> None:
    """Release reserved nodes: they show their newest run again, or are skipped if they have none."""
    reserved = [node for node in nodes if is_reserved(node)]
    runs = runs_of(reserved)
    for node in reserved:
        newest = max(runs[node.pk].values(), key=lambda attempt: attempt.number, default=None)
        if newest is None:
            node.attempt, node.status = 0, Status.SKIPPED
        else:
            _show(node, newest)
