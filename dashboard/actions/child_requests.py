"""Requests to Temporal that carry out an operation on its children, and the events that they cause."""

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
from orchestration.temporal.connection import BatchNotRunning, OutcomeUnknown

AT_ONCE = 20
"""Concurrent requests to Temporal where there is one per child."""


@dataclass(frozen=True)
class Refusal:
    """A child that an operation does not affect, and why."""

    node: int
    position: int
    label: str
    reason: str


@dataclass(frozen=True)
class OperationResult:
    """Ids of the nodes that an operation affects, and those it does not; whether a stopped flow is resumed."""

    accepted: list[int] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    resumes_flow: bool = False
    action: Action = Action.RETRY

    def __str__(self) -> str:
        numbers = f"{len(self.accepted):,} accepted, {len(self.refused):,} refused."
        return f"Continues where it stopped. {numbers}" if self.resumes_flow else numbers


def request_action(operation: Operation, root: Node, eligible: dict[int, Node], result: OperationResult) -> None:
    """Request an operation's action for children by position, and add to the result which were accepted.

    Raises TemporalUnavailable, BatchNotRunning.
    """
    _REQUESTS[Action(operation.action)](operation, root, eligible, result)


def refusal(node: Node, reason: str) -> Refusal:
    """Return the refusal of a child."""
    return Refusal(node.pk, node.position, f"#{node.position} {node.key_first}".strip(), reason)


def _retry(operation: Operation, root: Node, eligible: dict[int, Node], result: OperationResult) -> None:
    """Request another attempt of each. The claim on its node has to be written before the attempt starts."""
    batch = operation.batch
    before = assign_operation(batch.pk, eligible, operation.pk)
    try:
        if batch.watched_id:
            _rerun_external(batch, eligible, result)
        else:
            _retry_own(operation, root, eligible, result)
    except OutcomeUnknown:  # it may still be done, and then with what this operation says
        raise
    except BaseException:
        _restore(before, eligible, result)
        raise
    _restore(before, eligible, result)
    announce_change_from_thread(batch.pk)


def _restore(before: Mapping[int, str | None], eligible: Mapping[int, Node], result: OperationResult) -> None:
    """Give children that were not accepted back to the operation that they had."""
    accepted = set(result.accepted)
    restore_operations({node.pk: before[node.pk] for node in eligible.values() if node.pk not in accepted})


def _retry_own(operation: Operation, root: Node, eligible: dict[int, Node], result: OperationResult) -> None:
    batch, window = operation.batch, operation.window
    start, parents = root_input(batch), _parents(batch)
    if window is not None and isinstance(start, FanOutInput):
        start = replace(start, window=window)
    answer = async_to_sync(gateway().retry)(
        start,
        _paths(eligible, parents),
        believed_open=_open_ids(parents),
        update_id=_digest([*eligible.values(), *([root] if result.resumes_flow else [])]),
    )
    _add_answer(answer, eligible, result)
    if not answer.accepted and not result.resumes_flow:
        return
    attempts = {position: eligible[position].attempt for position in answer.accepted}
    requeue(batch.pk, attempts, root_resumes=result.resumes_flow, window=window)
    if window is not None and root.status == Status.RUNNING:
        async_to_sync(gateway().set_window)(batch.pk, window)


def _rerun_external(batch: Batch, eligible: dict[int, Node], result: OperationResult) -> None:
    """Reset leaves of a watched tree, which run again with the same input. A parent that still waits notices it."""
    events = list[TreeEvent]()
    for node in eligible.values():
        reset = gateway().external.reset
        try:
            run_id = async_to_sync(reset)(node.workflow_id, node.run_id, f"Retried in Canopy, batch {batch.pk}.")
        except ResetRefused as error:
            result.refused.append(refusal(node, str(error)))
        else:
            events.append(TreeEvent(EventKind.STARTED, node.workflow_id, run_id, timezone.now()))
            result.accepted.append(node.pk)
    apply_events(batch.pk, events)


def _skip(operation: Operation, root: Node, eligible: dict[int, Node], result: OperationResult) -> None:
    """Have parents continue without children. Failed ones that no parent waits for are marked in the database alone."""
    batch, parents = operation.batch, _parents(operation.batch)
    answer = async_to_sync(gateway().skip_children)(
        root_input(batch),
        _paths(eligible, parents),
        believed_open=_open_ids(parents),
        update_id=f"skip-{operation.pk}",
    )
    for position in answer.unasked:
        if eligible[position].status == Status.PENDING:
            answer.refused[position] = _("its parent is not running")
        else:
            answer.accepted.append(position)
    _add_answer(answer, eligible, result)
    now = timezone.now()
    skipped = [eligible[position].workflow_id for position in answer.accepted]
    apply_events(batch.pk, [TreeEvent(EventKind.SKIPPED, name, "", now, failure=LEFT_OUT) for name in skipped])
    announce_change_from_thread(batch.pk)


def _parents(batch: Batch) -> dict[int, Node]:
    above = Node.objects.filter(batch=batch, kind__in=PARENT_KINDS).select_related("parent")
    return {node.pk: node for node in above}


def _open_ids(parents: Mapping[int, Node]) -> set[str]:
    return {node.workflow_id for node in parents.values() if node.status == Status.RUNNING}


def _paths(eligible: Mapping[int, Node], parents: Mapping[int, Node]) -> dict[int, list[str]]:
    """Return the workflow ids above each child, by position."""
    return {position: _path(parents.get(node.parent_id or 0)) for position, node in sorted(eligible.items())}


def _add_answer(answer: ChildrenAnswer, eligible: Mapping[int, Node], result: OperationResult) -> None:
    result.accepted.extend(eligible[position].pk for position in answer.accepted)
    result.refused.extend(refusal(eligible[position], reason) for position, reason in answer.refused.items())


def _cancel(operation: Operation, root: Node, eligible: dict[int, Node], result: OperationResult) -> None:
    async_to_sync(_request_each)(eligible.values(), gateway().cancel, result)


def _terminate(operation: Operation, root: Node, eligible: dict[int, Node], result: OperationResult) -> None:
    why = f"{operation.person.get_username()}: {operation.reason or 'no reason given'}"
    async_to_sync(_request_each)(eligible.values(), lambda workflow_id: gateway().terminate(workflow_id, why), result)


async def _request_each(
    nodes: Iterable[Node], request: Callable[[str], Awaitable[None]], result: OperationResult
) -> None:
    """Send one request per child, AT_ONCE concurrently; refuse a child that is no workflow or not running."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(node: Node) -> None:
        if not node.is_workflow:
            result.refused.append(refusal(node, _("it is not a separate workflow")))
            return
        async with slots:
            try:
                await request(node.workflow_id)
            except BatchNotRunning:
                result.refused.append(refusal(node, _("no longer running")))
            else:
                result.accepted.append(node.pk)

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
    """Return an id made of what a retry covers, so that a double click, or two operators at once, start one attempt."""
    content = ",".join(f"{node.pk}:{node.attempt}" for node in sorted(nodes, key=lambda node: node.pk))
    return hashlib.sha256(content.encode()).hexdigest()[:32]


_REQUESTS = {Action.RETRY: _retry, Action.SKIP: _skip, Action.CANCEL: _cancel, Action.TERMINATE: _terminate}
