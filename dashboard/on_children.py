"""Operations on many children: what is chosen is frozen and counted, confirmed, and done; a retry also at one press.

Each leaves an Operation, which tells what was asked for, what was taken on, and what has become of it since.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.utils import timezone

from dashboard import projection
from dashboard.auditing import OperationError, audited, ring
from dashboard.choosing import ACTS_ON, Choice, left_in_stages
from dashboard.models import PARENT_KINDS, Batch, BatchStatus, Node
from dashboard.operation_models import Action, Operation, positions_in, stretches
from dashboard.operations import check_window
from dashboard.permissions import Person, require_operator
from dashboard.roots import root_input
from dashboard.temporal import gateway
from orchestration.connection import BatchNotRunning
from orchestration.contracts import EventKind, FanOutInput, NodeKind, Status, TreeEvent
from orchestration.foreign import CannotRunAgain

FROZEN_FOR = timedelta(days=1)
"""How long a set that nobody confirms is kept."""

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
class Outcome:
    """Node ids that an action was taken on for, and those it was not; whether a flow does what it had not done."""

    accepted: list[int] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    goes_on: bool = False
    action: Action = Action.RETRY

    def __str__(self) -> str:
        said = f"{len(self.accepted):,} accepted, {len(self.refused):,} refused."
        return f"Goes on where it stopped. {said}" if self.goes_on else said


@dataclass(frozen=True)
class Wishes:
    """What a person says beside what is chosen: a reason, other parameters for it, another window."""

    reason: str = ""
    parameters: Mapping[str, Any] | None = None
    window: int | None = None


AS_IT_IS = Wishes()


def freeze(person: Person, batch: Batch, action: Action, choice: Choice) -> Operation:
    """Note which children an action would be done to, and count them. Nothing is done yet.

    Raises PermissionDenied, and OperationError as `Choice.children` does, or 409 where the batch allows no such action.
    """
    operator = require_operator(person)
    root = Node.objects.get(batch=batch, kind=NodeKind.ROOT)
    _must_allow(batch, root, action)
    Operation.objects.filter(batch=batch, confirmed_at=None, frozen_at__lt=timezone.now() - FROZEN_FOR).delete()
    return _frozen(operator, batch, action, choice, _chosen(batch, root, action, choice))


def confirm(person: Person, operation: Operation, wishes: Wishes = AS_IT_IS) -> Outcome:
    """Do what was frozen, once.

    Raises PermissionDenied and OperationError: 409 when it was confirmed before, 503 where Temporal is away.
    """
    operator = require_operator(person)
    batch, action = operation.batch, Action(operation.action)
    root = Node.objects.get(batch=batch, kind=NodeKind.ROOT)
    _must_allow(batch, root, action)
    if wishes.window is not None:
        check_window(wishes.window)
    return _do(operator, operation, root, list(_nodes_of(operation)), wishes)


def retry(person: Person, batch: Batch, choice: Choice) -> Outcome:
    """Give children another attempt at once. A flow that stopped goes on, with what its stages had left.

    Raises PermissionDenied and OperationError: as `freeze` and `confirm` do.
    """
    operator = require_operator(person)
    root = Node.objects.get(batch=batch, kind=NodeKind.ROOT)
    chosen = _chosen(batch, root, Action.RETRY, choice)
    _must_allow(batch, root, Action.RETRY)
    return _do(operator, _frozen(operator, batch, Action.RETRY, choice, chosen), root, chosen, AS_IT_IS)


def _must_allow(batch: Batch, root: Node, action: Action) -> None:
    if root.attempt == 0:
        raise OperationError(f"The batch has not started yet, so there is nothing to {action.label.lower()}.", 409)
    if action is Action.RETRY and batch.status == BatchStatus.ROLLED_BACK:
        raise OperationError("The batch was rolled back: what had completed is undone. Launch it again instead.", 409)


def _goes_on(batch: Batch, root: Node) -> bool:
    return batch.may_go_on and Status(root.status).is_retryable


def _chosen(batch: Batch, root: Node, action: Action, choice: Choice) -> list[Node]:
    goes_on = action is Action.RETRY and _goes_on(batch, root)
    chosen = choice.children(batch, action, or_none=goes_on)
    if goes_on:
        chosen = list({node.pk: node for node in (*chosen, *left_in_stages(batch))}.values())
    return sorted(chosen, key=lambda node: node.position)


def _frozen(operator: User, batch: Batch, action: Action, choice: Choice, chosen: Sequence[Node]) -> Operation:
    return Operation.objects.create(
        batch=batch,
        person=operator,
        action=action,
        words=choice.words(len(chosen))[:200],
        chosen=stretches([node.position for node in chosen]),
        number=len(chosen),
        items=sum(node.length - node.items_completed for node in chosen),
    )


def _nodes_of(operation: Operation) -> Iterator[Node]:
    """Yield the children that were frozen, as they are now."""
    positions, size = list(positions_in(operation.chosen)), projection.ROWS_AT_ONCE
    for some in (positions[first : first + size] for first in range(0, len(positions), size)):
        nodes = Node.objects.filter(batch=operation.batch, kind=NodeKind.CHILD, position__in=some)
        yield from nodes.order_by("position")


def _do(operator: User, operation: Operation, root: Node, chosen: Sequence[Node], wishes: Wishes) -> Outcome:
    """Do what was frozen, once; where nothing could be done it can be confirmed again."""
    same = Operation.objects.filter(pk=operation.pk)
    if not same.filter(confirmed_at=None).update(confirmed_at=timezone.now()):
        raise OperationError("This was confirmed before.", 409)
    try:
        return _carry_out(operator, operation, root, chosen, wishes)
    except OperationError:
        same.update(confirmed_at=None)
        raise


def _carry_out(operator: User, operation: Operation, root: Node, chosen: Sequence[Node], wishes: Wishes) -> Outcome:
    batch, action = operation.batch, Action(operation.action)
    outcome = Outcome(goes_on=action is Action.RETRY and _goes_on(batch, root), action=action)
    ready = dict[int, Node]()
    for node in chosen:
        if node.status in ACTS_ON[action]:
            ready[node.position] = node
        else:
            outcome.refused.append(_refusal(node, _why_not(node, action)))
    operation.reason, operation.window = wishes.reason[:200], wishes.window
    operation.parameters = dict(wishes.parameters) if wishes.parameters is not None else None
    operation.save(update_fields=["reason", "window", "parameters"])
    scope = " · ".join(part for part in (f"{operation.words} ({operation.number:,} children)", wishes.reason) if part)
    with audited(operator, batch, action.value, scope) as audit:
        if ready or outcome.goes_on:
            _ASKS[action](operation, root, ready, outcome)
        audit.outcome = str(outcome)
    operation.accepted_number, operation.refused_number = len(outcome.accepted), len(outcome.refused)
    operation.refused = [[each.position, each.reason] for each in outcome.refused[: Operation.REFUSALS_KEPT]]
    operation.save(update_fields=["accepted_number", "refused", "refused_number"])
    return outcome


def _retry(operation: Operation, root: Node, ready: dict[int, Node], outcome: Outcome) -> None:
    """Ask for another attempt of each. What the operation says of it has to be there before the attempt is."""
    batch = operation.batch
    before = projection.claim(batch.pk, ready, operation.pk)
    try:
        if batch.watched_id:
            _run_again(batch, ready, outcome)
        else:
            _ask_to_retry(operation, root, ready, outcome)
    finally:
        accepted = set(outcome.accepted)
        projection.give_back({node.pk: before[node.pk] for node in ready.values() if node.pk not in accepted})
    ring(batch)


def _ask_to_retry(operation: Operation, root: Node, ready: dict[int, Node], outcome: Outcome) -> None:
    batch, window = operation.batch, operation.window
    above = Node.objects.filter(batch=batch, kind__in=PARENT_KINDS).select_related("parent")
    parents = {node.pk: node for node in above}
    start = root_input(batch)
    if window is not None and isinstance(start, FanOutInput):
        start = replace(start, window=window)
    answer = async_to_sync(gateway().retry)(
        start,
        {position: _above(parents.get(node.parent_id or 0)) for position, node in sorted(ready.items())},
        believed_open={node.workflow_id for node in parents.values() if node.status == Status.RUNNING},
        update_id=_digest([*ready.values(), *([root] if outcome.goes_on else [])]),
    )
    outcome.accepted.extend(ready[position].pk for position in answer.accepted)
    outcome.refused.extend(_refusal(ready[position], reason) for position, reason in answer.refused.items())
    if not answer.accepted and not outcome.goes_on:
        return
    attempts = {position: ready[position].attempt for position in answer.accepted}
    projection.requeue(batch.pk, attempts, goes_on=outcome.goes_on, window=window)
    if window is not None and root.status == Status.RUNNING:
        async_to_sync(gateway().set_window)(batch.pk, window)


def _run_again(batch: Batch, ready: dict[int, Node], outcome: Outcome) -> None:
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


def _cancel(operation: Operation, root: Node, ready: dict[int, Node], outcome: Outcome) -> None:
    async_to_sync(_each)(ready.values(), gateway().cancel, outcome)


def _terminate(operation: Operation, root: Node, ready: dict[int, Node], outcome: Outcome) -> None:
    why = f"{operation.person.get_username()}: {operation.reason or 'no reason given'}"
    async_to_sync(_each)(ready.values(), lambda workflow_id: gateway().terminate(workflow_id, why), outcome)


async def _each(nodes: Iterable[Node], ask: Callable[[str], Awaitable[None]], outcome: Outcome) -> None:
    """Ask Temporal for each child, some at a time; one that is no workflow, or is gone, is refused."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(node: Node) -> None:
        if not node.is_workflow:
            outcome.refused.append(_refusal(node, "it is no workflow of its own"))
            return
        async with turns:
            try:
                await ask(node.workflow_id)
            except BatchNotRunning:
                outcome.refused.append(_refusal(node, "not running any more"))
            else:
                outcome.accepted.append(node.pk)

    await asyncio.gather(*(one(node) for node in nodes))


_ASKS = {Action.RETRY: _retry, Action.CANCEL: _cancel, Action.TERMINATE: _terminate}


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


def _why_not(node: Node, action: Action) -> str:
    if action is not Action.RETRY:
        return f"it is {node.get_status_display().lower()}"
    return "already completed" if node.status == Status.COMPLETED else "already running"


def _refusal(node: Node, reason: str) -> Refusal:
    return Refusal(node.pk, node.position, f"#{node.position} {node.key_first}".strip(), reason)
