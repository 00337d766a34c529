"""What each action asks of Temporal for children that were frozen, and what the rows say of it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from asgiref.sync import async_to_sync
from django.utils import timezone
from django.utils.translation import gettext as _

from dashboard.launching.root_input import root_input
from dashboard.live.doorbell import announce_change_from_thread
from dashboard.models import PARENT_KINDS, Action, Batch, Node, Operation
from dashboard.projection.events import apply_events
from dashboard.projection.retries import assign_operation, requeue, restore_operations
from dashboard.temporal import gateway
from orchestration.client.external_workflows import ResetRefused
from orchestration.contracts.events import EventKind, NodeKind, TreeEvent
from orchestration.contracts.fan_out import FanOutInput
from orchestration.contracts.messages import ChildrenAnswer
from orchestration.contracts.status import LEFT_OUT, Status
from orchestration.temporal.connection import BatchNotRunning

AT_ONCE = 20
"""Requests to Temporal, one a child."""


@dataclass(frozen=True)
class Refusal:
    """A child that was not taken on, and why."""

    node: int
    position: int
    label: str
    reason: str


@dataclass(frozen=True)
class OperationResult:
    """Node ids that an action was taken on for, and those it was not; whether a flow does what it had not done."""

    accepted: list[int] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    goes_on: bool = False
    action: Action = Action.RETRY

    def __str__(self) -> str:
        said = f"{len(self.accepted):,} accepted, {len(self.refused):,} refused."
        return f"Goes on where it stopped. {said}" if self.goes_on else said


def request_action(operation: Operation, root: Node, ready: dict[int, Node], outcome: OperationResult) -> None:
    """Do an operation's action to children by position, and note in its outcome what was taken on.

    Raises TemporalUnavailable, BatchNotRunning.
    """
    _REQUESTS[Action(operation.action)](operation, root, ready, outcome)


def refusal(node: Node, reason: str) -> Refusal:
    """Return that a child was not taken on, and why."""
    return Refusal(node.pk, node.position, f"#{node.position} {node.key_first}".strip(), reason)


def _retry(operation: Operation, root: Node, ready: dict[int, Node], outcome: OperationResult) -> None:
    """Ask for another attempt of each. What the operation says of it has to be there before the attempt is."""
    batch = operation.batch
    before = assign_operation(batch.pk, ready, operation.pk)
    try:
        if batch.watched_id:
            _rerun_external(batch, ready, outcome)
        else:
            _retry_own(operation, root, ready, outcome)
    finally:
        accepted = set(outcome.accepted)
        restore_operations({node.pk: before[node.pk] for node in ready.values() if node.pk not in accepted})
    announce_change_from_thread(batch.pk)


def _retry_own(operation: Operation, root: Node, ready: dict[int, Node], outcome: OperationResult) -> None:
    batch, window = operation.batch, operation.window
    start, parents = root_input(batch), _parents(batch)
    if window is not None and isinstance(start, FanOutInput):
        start = replace(start, window=window)
    answer = async_to_sync(gateway().retry)(
        start,
        _paths(ready, parents),
        believed_open=_open(parents),
        update_id=_digest([*ready.values(), *([root] if outcome.goes_on else [])]),
    )
    _add_answer(answer, ready, outcome)
    if not answer.accepted and not outcome.goes_on:
        return
    attempts = {position: ready[position].attempt for position in answer.accepted}
    requeue(batch.pk, attempts, root_resumes=outcome.goes_on, window=window)
    if window is not None and root.status == Status.RUNNING:
        async_to_sync(gateway().set_window)(batch.pk, window)


def _rerun_external(batch: Batch, ready: dict[int, Node], outcome: OperationResult) -> None:
    """Start leaves of a watched tree again with the same input. Their parents know it if they still wait for them."""
    events = list[TreeEvent]()
    for node in ready.values():
        reset = gateway().external.reset
        try:
            run_id = async_to_sync(reset)(node.workflow_id, node.run_id, f"Retried in Canopy, batch {batch.pk}.")
        except ResetRefused as error:
            outcome.refused.append(refusal(node, str(error)))
        else:
            events.append(TreeEvent(EventKind.STARTED, node.workflow_id, run_id, timezone.now()))
            outcome.accepted.append(node.pk)
    apply_events(batch.pk, events)


def _skip(operation: Operation, root: Node, ready: dict[int, Node], outcome: OperationResult) -> None:
    """Have parents go on without children. Of what has failed and nobody waits for, the rows alone say it."""
    batch, parents = operation.batch, _parents(operation.batch)
    answer = async_to_sync(gateway().skip_children)(
        root_input(batch),
        _paths(ready, parents),
        believed_open=_open(parents),
        update_id=f"skip-{operation.pk}",
    )
    for position in answer.unasked:
        if ready[position].status == Status.PENDING:
            answer.refused[position] = _("its parent is not running")
        else:
            answer.accepted.append(position)
    _add_answer(answer, ready, outcome)
    now = timezone.now()
    skipped = [ready[position].workflow_id for position in answer.accepted]
    apply_events(batch.pk, [TreeEvent(EventKind.SKIPPED, name, "", now, failure=LEFT_OUT) for name in skipped])
    announce_change_from_thread(batch.pk)


def _parents(batch: Batch) -> dict[int, Node]:
    above = Node.objects.filter(batch=batch, kind__in=PARENT_KINDS).select_related("parent")
    return {node.pk: node for node in above}


def _open(parents: Mapping[int, Node]) -> set[str]:
    return {node.workflow_id for node in parents.values() if node.status == Status.RUNNING}


def _paths(ready: Mapping[int, Node], parents: Mapping[int, Node]) -> dict[int, list[str]]:
    """Return the workflow ids above each child, by position."""
    return {position: _path(parents.get(node.parent_id or 0)) for position, node in sorted(ready.items())}


def _add_answer(answer: ChildrenAnswer, ready: Mapping[int, Node], outcome: OperationResult) -> None:
    outcome.accepted.extend(ready[position].pk for position in answer.accepted)
    outcome.refused.extend(refusal(ready[position], reason) for position, reason in answer.refused.items())


def _cancel(operation: Operation, root: Node, ready: dict[int, Node], outcome: OperationResult) -> None:
    async_to_sync(_request_each)(ready.values(), gateway().cancel, outcome)


def _terminate(operation: Operation, root: Node, ready: dict[int, Node], outcome: OperationResult) -> None:
    why = f"{operation.person.get_username()}: {operation.reason or 'no reason given'}"
    async_to_sync(_request_each)(ready.values(), lambda workflow_id: gateway().terminate(workflow_id, why), outcome)


async def _request_each(
    nodes: Iterable[Node], request: Callable[[str], Awaitable[None]], outcome: OperationResult
) -> None:
    """Ask Temporal for each child, some at a time; one that is no workflow, or is gone, is refused."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(node: Node) -> None:
        if not node.is_workflow:
            outcome.refused.append(refusal(node, _("it is no workflow of its own")))
            return
        async with turns:
            try:
                await request(node.workflow_id)
            except BatchNotRunning:
                outcome.refused.append(refusal(node, _("not running any more")))
            else:
                outcome.accepted.append(node.pk)

    await asyncio.gather(*(one(node) for node in nodes))


def _path(parent: Node | None) -> list[str]:
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


_REQUESTS = {Action.RETRY: _retry, Action.SKIP: _skip, Action.CANCEL: _cancel, Action.TERMINATE: _terminate}
