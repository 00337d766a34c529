"""Operations: what a person may do to a batch after its launch. The one path of the buttons and the API.

Each asks for the operator's role, asks Temporal through the gateway, and leaves an audit entry with its outcome.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.utils import timezone

from dashboard import live, projection
from dashboard.error_groups import with_error
from dashboard.models import PARENT_KINDS, AuditEntry, Batch, BatchStatus, Hold, Node, NodeStatus
from dashboard.permissions import Person, require_operator
from dashboard.rolling_back import may_roll_back, undo_input
from dashboard.roots import root_input
from dashboard.temporal import gateway
from orchestration.connection import BatchNotRunning, BatchRunning, TemporalUnavailable
from orchestration.contracts import EventKind, NodeKind, Status, TreeEvent
from orchestration.foreign import CannotRunAgain
from orchestration.plan import Plan, root_id

FAILED = "failed"
UNFINISHED = "unfinished"

SELECTIONS = {
    FAILED: (NodeStatus.FAILED, NodeStatus.TIMED_OUT, NodeStatus.TERMINATED),
    UNFINISHED: tuple(NodeStatus(status) for status in Status if status.is_retryable),
}
"""What "all failed" and "all that is left" mean; any single outcome is a selection too."""


class OperationError(Exception):
    """Why nothing was done: a message for a person and an HTTP status."""

    def __init__(self, message: str, status_code: int) -> None:
        super().__init__(message)
        self.message = message
        self.status_code = status_code


@dataclass(frozen=True)
class Refusal:
    """A child that was not taken on, and why."""

    node: int
    label: str
    reason: str


@dataclass(frozen=True)
class RetryOutcome:
    """Node ids that get another attempt, and those that do not; whether a flow does what it had not done."""

    accepted: list[int] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    goes_on: bool = False

    def __str__(self) -> str:
        said = f"{len(self.accepted):,} accepted, {len(self.refused):,} refused."
        return f"Goes on where it stopped. {said}" if self.goes_on else said


def retry(
    person: Person,
    batch: Batch,
    *,
    nodes: Sequence[int] | None = None,
    status: str | None = None,
    signature: str = "",
) -> RetryOutcome:
    """Give children another attempt: those named (a partition or the root means its retryable children), those in a
    status ("failed", "unfinished", or one outcome), or those with an error of a signature. A flow that stopped goes on,
    with what its stages had left.

    Raises PermissionDenied and OperationError: 404 for a node of another batch, 422 for an empty or unknown selection,
    409 for a batch that never started, 503 where Temporal is away.
    """
    operator = require_operator(person)
    root = Node.objects.get(batch=batch, kind=NodeKind.ROOT)
    goes_on = batch.may_go_on and Status(root.status).is_retryable
    if signature:
        chosen = _with_error(batch, signature)
    else:
        chosen = _named(batch, nodes, or_none=goes_on) if nodes is not None else _in_status(batch, status or "")
    if goes_on:
        chosen = list({node.pk: node for node in (*chosen, *_left_in_stages(batch))}.values())
    scope = f"{len(chosen):,} children"
    if signature or status:
        scope = f"all {status or f'with error {signature}'} ({scope})"
    if root.attempt == 0:
        raise OperationError("The batch has not started yet, so there is nothing to retry.", 409)
    if batch.status == BatchStatus.ROLLED_BACK:
        raise OperationError("The batch was rolled back: what had completed is undone. Launch it again instead.", 409)
    outcome = RetryOutcome(goes_on=goes_on)
    ask = _run_again if batch.watched_id else _ask_to_retry
    ready = dict[int, Node]()
    for node in chosen:
        if Status(node.status).is_retryable:
            ready[node.position] = node
        else:
            outcome.refused.append(_refusal(node, _why_not(node)))
    if ready or goes_on:
        with _audited(operator, batch, "retry", scope) as audit:
            ask(batch, root, ready, outcome)
            audit.outcome = str(outcome)
    else:
        AuditEntry.objects.create(batch=batch, person=operator, action="retry", scope=scope, outcome=str(outcome))
    return outcome


def _ask_to_retry(batch: Batch, root: Node, ready: dict[int, Node], outcome: RetryOutcome) -> None:
    above = Node.objects.filter(batch=batch, kind__in=PARENT_KINDS).select_related("parent")
    parents = {node.pk: node for node in above}
    answer = async_to_sync(gateway().retry)(
        root_input(batch),
        {position: _above(parents.get(node.parent_id or 0)) for position, node in sorted(ready.items())},
        believed_open={node.workflow_id for node in parents.values() if node.status == Status.RUNNING},
        update_id=_digest([*ready.values(), *([root] if outcome.goes_on else [])]),
    )
    outcome.accepted.extend(ready[position].pk for position in answer.accepted)
    outcome.refused.extend(_refusal(ready[position], reason) for position, reason in answer.refused.items())
    if answer.accepted or outcome.goes_on:
        attempts = {position: ready[position].attempt for position in answer.accepted}
        projection.requeue(batch.pk, attempts, goes_on=outcome.goes_on)
        _ring(batch)


def _run_again(batch: Batch, root: Node, ready: dict[int, Node], outcome: RetryOutcome) -> None:
    """Start leaves of a watched tree again with the same input. Their parents know it if they still wait for them."""
    events = list[TreeEvent]()
    for node in ready.values():
        again = gateway().foreign.run_again
        try:
            run_id = async_to_sync(again)(node.workflow_id, node.run_id, f"Retried in Canopy, batch {batch.pk}.")
        except CannotRunAgain as error:
            outcome.refused.append(_refusal(node, str(error)))
        else:
            events.append(TreeEvent(EventKind.STARTED, node.workflow_id, run_id, timezone.now()))
            outcome.accepted.append(node.pk)
    projection.apply(batch.pk, events)
    _ring(batch)


def _above(parent: Node | None) -> list[str]:
    """Return the workflow ids between the root and a child, outermost first."""
    if parent is None:
        return []
    stage = parent.parent
    if stage is None or stage.kind != NodeKind.STAGE:
        return [parent.workflow_id]
    return [stage.workflow_id, parent.workflow_id]


def _digest(nodes: Iterable[Node]) -> str:
    """Name a retry by what it retries, so that a double click, or two operators at once, start one attempt."""
    content = ",".join(f"{node.pk}:{node.attempt}" for node in sorted(nodes, key=lambda node: node.pk))
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def _left_in_stages(batch: Batch) -> QuerySet[Node]:
    """Return what stages that have stopped left: what is to be done before their flow can go on."""
    stopped = Node.objects.filter(batch=batch, kind=NodeKind.STAGE, status__in=SELECTIONS[UNFINISHED])
    below = Q(parent__in=stopped) | Q(parent__parent__in=stopped)
    return _children(batch).filter(below, status__in=SELECTIONS[UNFINISHED])


def _named(batch: Batch, ids: Sequence[int], *, or_none: bool) -> list[Node]:
    if not ids:
        raise OperationError("Nothing is selected.", 422)
    found = {node.pk: node for node in Node.objects.filter(batch=batch, pk__in=ids)}
    unknown = [str(pk) for pk in ids if pk not in found]
    if unknown:
        raise OperationError(f"This batch has no node {', '.join(unknown[:5])}.", 404)
    children = {pk: node for pk, node in found.items() if node.kind == NodeKind.CHILD}
    parents = [node for node in found.values() if node.kind != NodeKind.CHILD]
    if parents:
        for node in _below(parents):
            if node.kind == NodeKind.CHILD and node.status in SELECTIONS[UNFINISHED]:
                children[node.pk] = node
    if not children and not or_none:
        raise OperationError("There is nothing to retry below what is selected.", 409)
    return list(children.values())


def _below(parents: Sequence[Node]) -> Iterator[Node]:
    """Yield all nodes below some, level by level."""
    while parents:
        found = list(Node.objects.filter(parent__in=parents))
        yield from found
        parents = [node for node in found if node.kind in PARENT_KINDS]


def _with_error(batch: Batch, signature: str) -> list[Node]:
    found = list(_children(batch).filter(with_error(batch, signature)).order_by("position"))
    if not found:
        raise OperationError("No child has failed with this error now.", 409)
    return found


def _in_status(batch: Batch, status: str) -> list[Node]:
    statuses = SELECTIONS.get(status) or tuple(each for each in SELECTIONS[UNFINISHED] if each == status)
    if not statuses:
        known = ", ".join([UNFINISHED, *SELECTIONS[UNFINISHED]])
        raise OperationError(f"Children can be retried by status {known}; not {status!r}.", 422)
    return list(_children(batch).filter(status__in=statuses).order_by("position"))


def _children(batch: Batch) -> QuerySet[Node]:
    return Node.objects.filter(batch=batch, kind=NodeKind.CHILD)


def _why_not(node: Node) -> str:
    return "already completed" if node.status == Status.COMPLETED else "already running"


def _refusal(node: Node, reason: str) -> Refusal:
    return Refusal(node.pk, f"#{node.position} {node.key_first}".strip(), reason)


def pause(person: Person, batch: Batch) -> None:
    """Start no more children; open ones go on. Raises PermissionDenied, OperationError."""
    _must_be_ours(batch)
    _steer(require_operator(person), batch, "pause", lambda: gateway().pause(batch.pk))


def resume(person: Person, batch: Batch) -> None:
    """Start children again. Raises PermissionDenied, OperationError."""
    _must_be_ours(batch)
    _steer(require_operator(person), batch, "resume", lambda: gateway().resume(batch.pk))


def steer_worker(person: Person, worker: Node, *, paused: bool) -> None:
    """Pause one worker of a pool, or have it go on. Raises PermissionDenied, OperationError (409 when it has gone)."""
    operator = require_operator(person)
    if worker.kind != NodeKind.POOL_WORKER or worker.status != Status.RUNNING:
        raise OperationError("This is no pool worker that runs.", 409)
    action, scope = "pause worker" if paused else "resume worker", f"worker {worker.label}"
    _steer(
        operator,
        worker.batch,
        action,
        lambda: gateway().steer_worker(worker.workflow_id, paused=paused),
        scope=scope,
    )


def skip(person: Person, batch: Batch) -> None:
    """Let a held batch go on without what failed. Raises PermissionDenied, OperationError (409 when it is not held)."""
    _release(require_operator(person), batch, "skip", lambda: gateway().skip(batch.pk))


def finish(person: Person, batch: Batch) -> None:
    """End a held batch as it is. Raises PermissionDenied, OperationError (409 when it is not held)."""
    _release(require_operator(person), batch, "finish", lambda: gateway().finish(batch.pk))


def decide(person: Person, batch: Batch, *, approved: bool) -> None:
    """Approve that a batch starts, or refuse. Raises PermissionDenied, OperationError (409 when nobody is asked)."""
    operator = require_operator(person)
    if batch.held_kind != Hold.GATE:
        raise OperationError("The batch does not wait for approval.", 409)
    name = operator.get_username()
    action = "approve" if approved else "refuse"
    _steer(operator, batch, action, lambda: gateway().decide(batch.pk, approved=approved, person=name))


def _release(operator: User, batch: Batch, action: str, call: Callable[[], Awaitable[None]]) -> None:
    if batch.held_kind != Hold.FAILURES:
        raise OperationError("The batch is not held.", 409)
    _steer(operator, batch, action, call, scope=batch.held_reason)


def cancel(person: Person, batch: Batch) -> None:
    """Ask all children to stop and clean up, and skip those pending. Raises PermissionDenied, OperationError."""
    _steer(require_operator(person), batch, "cancel", lambda: gateway().cancel(batch.pk, root=batch.watched_id))


def terminate(person: Person, batch: Batch, reason: str = "") -> None:
    """End the batch at once, without cleaning up. Raises PermissionDenied, OperationError."""
    operator = require_operator(person)
    why = f"{operator.get_username()}: {reason or 'no reason given'}"
    _steer(
        operator,
        batch,
        "terminate",
        lambda: gateway().terminate(batch.pk, why, root=batch.watched_id),
        scope=reason,
    )


def roll_back(person: Person, batch: Batch) -> str:
    """Undo all that a closed batch has completed, and return what was begun.

    Raises PermissionDenied, OperationError (409 while it runs, or where nothing is left that could be undone).
    """
    operator = require_operator(person)
    if not may_roll_back(batch):
        why = "It is still open." if batch.is_open else "Nothing that it does can be undone."
        raise OperationError(why, 409)
    root, number = undo_input(batch)
    if not number:
        raise OperationError("Nothing of it is left to undo.", 409)
    with _audited(operator, batch, "roll back", f"{number:,} children"):
        run_id = async_to_sync(gateway().roll_back)(root)
    started = TreeEvent(EventKind.STARTED, root_id(batch.pk), run_id, timezone.now())
    projection.apply(batch.pk, [started])
    _ring(batch)
    return f"Rolling back: what {number:,} {'child' if number == 1 else 'children'} completed is undone."


def set_window(person: Person, batch: Batch, window: int) -> None:
    """Change how many children may be open. Raises PermissionDenied, OperationError (422 out of bounds)."""
    operator = require_operator(person)
    _must_be_ours(batch)
    bounds = Plan.model_json_schema()["properties"]["window"]
    if not bounds["minimum"] <= window <= bounds["maximum"]:
        raise OperationError(f"The window must be from {bounds['minimum']} to {bounds['maximum']:,}.", 422)
    scope = f"{batch.window} → {window}"
    _steer(operator, batch, "window", lambda: gateway().set_window(batch.pk, window), scope=scope)


def discard(person: Person, batch: Batch) -> None:
    """Give up a batch that has not started. Raises PermissionDenied, OperationError (409 once it has)."""
    operator = require_operator(person)
    with _audited(operator, batch, "discard", ""):
        if not projection.discard(batch.pk):
            raise OperationError("The batch has started: cancel it instead.", 409)
    _ring(batch)


def _must_be_ours(batch: Batch) -> None:
    if batch.watched_id:
        raise OperationError("Canopy only watches this tree: its own parents say how it goes on.", 409)


def _steer(operator: User, batch: Batch, action: str, call: Callable[[], Awaitable[None]], *, scope: str = "") -> None:
    with _audited(operator, batch, action, scope):

        async def ask() -> None:
            await call()

        async_to_sync(ask)()


@contextmanager
def _audited(person: User, batch: Batch, action: str, scope: str) -> Iterator[AuditEntry]:
    """Write an audit entry with the outcome of what is done inside, and turn its errors into OperationErrors."""
    entry = AuditEntry(batch=batch, person=person, action=action, scope=scope[:200], outcome="Accepted.")
    try:
        yield entry
    except (OperationError, BatchNotRunning, BatchRunning, TemporalUnavailable) as error:
        problem = _problem(error)
        entry.outcome = f"Not done: {problem.message}"
        raise problem from error
    finally:
        entry.save()


def _problem(error: OperationError | BatchNotRunning | BatchRunning | TemporalUnavailable) -> OperationError:
    if isinstance(error, OperationError):
        return error
    if isinstance(error, BatchRunning):
        return OperationError(str(error), 409)
    if isinstance(error, BatchNotRunning):
        return OperationError("The batch is not running.", 409)
    return OperationError(f"{error} Nothing was changed; try again in a moment.", 503)


def _ring(batch: Batch) -> None:
    async_to_sync(live.ring)(batch.pk)
