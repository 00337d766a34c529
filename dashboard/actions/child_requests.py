"""Requests to Temporal that carry out an operation on its children, and the events that they cause."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from asgiref.sync import async_to_sync
from django.utils import timezone
from django.utils.translation import gettext as _

from dashboard.actions.paths import open_ids, parents_in, paths_above
from dashboard.launching.root_input import root_input
from dashboard.live.doorbell import announce_change_from_thread
from dashboard.models import Action, Batch, Node, Operation, UnansweredCommand
from dashboard.projection.attempts import begun_again
from dashboard.projection.events import apply_events
from dashboard.projection.flow_states import kept_state
from dashboard.projection.retries import claim, requeue, restore_operations
from dashboard.temporal import gateway
from orchestration.client.external_workflows import ResetRefused
from orchestration.contracts.events import EventKind, TreeEvent
from orchestration.contracts.messages import ChildrenAnswer
from orchestration.contracts.status import LEFT_OUT, RESULTS_LOST, Status
from orchestration.telemetry import tracing
from orchestration.temporal.commands import Inquiry, OutcomeUnknown
from orchestration.temporal.connection import BatchNotRunning, TemporalUnavailable

AT_ONCE = 20
"""Concurrent requests to Temporal where there is one per child."""


@dataclass(frozen=True)
class Refusal:
    """A child that an operation does not affect, and why."""

    node: int
    position: int
    label: str
    reason: str


@dataclass
class OperationResult:
    """Ids of the nodes that an operation affects, and those it does not; whether a stopped flow is resumed."""

    accepted: list[int] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    resumes_flow: bool = False
    action: Action = Action.RETRY
    shortcomings: list[str] = field(default_factory=list)
    """What was not done although children were accepted, as sentences."""

    def __str__(self) -> str:
        return self.with_numbers(len(self.accepted), len(self.refused))

    def with_numbers(self, accepted: int, refused: int) -> str:
        """Return it in words for so many children: it may be part of an operation of more."""
        numbers = f"{accepted:,} accepted, {refused:,} refused."
        return " ".join([*(["Continues where it stopped."] if self.resumes_flow else []), numbers, *self.shortcomings])


def request_action(
    operation: Operation, root: Node, eligible: dict[int, Node], result: OperationResult, command: UnansweredCommand
) -> None:
    """Request an operation's action for children by position, and add to the result which were accepted.

    Raises TemporalUnavailable and BatchNotRunning, where nothing was done, and OutcomeUnknown, where the outcome of the
    children in its inquiries is not known; the result has the others.
    """
    try:
        _REQUESTS[Action(operation.action)](operation, root, eligible, result, command.mark)
    except OutcomeUnknown as error:
        unknown = [eligible[position] for inquiry in error.inquiries for position in inquiry.children]
        command.reserved = [[node.position, node.attempt, node.operation_id] for node in unknown]
        command.resumes_flow = result.resumes_flow
        raise


def refusal(node: Node, reason: str) -> Refusal:
    """Return the refusal of a child."""
    return Refusal(node.pk, node.position, f"{node.key_first} #{node.ordinal}".strip(), reason)


def _retry(operation: Operation, root: Node, eligible: dict[int, Node], result: OperationResult, mark: str) -> None:
    """Request another attempt of each. The claim on its node has to be written before the attempt starts."""
    batch = operation.batch
    nodes = [*eligible.values(), *([root] if result.resumes_flow else [])]
    before = claim(batch.pk, nodes, operation.pk)
    _refuse_unclaimed(before, root, eligible, result)
    kept = set[int]()
    try:
        if batch.watched_id:
            _rerun_external(batch, eligible, result)
        elif eligible or result.resumes_flow:
            _retry_own(operation, root, eligible, result)
    except OutcomeUnknown as error:  # it may still be done, and then with what this operation says
        kept = {position for inquiry in error.inquiries for position in inquiry.children}
        raise
    finally:
        kept |= {node.position for node in eligible.values() if node.pk in {*result.accepted}}
        held = {eligible[position].pk for position in kept if position in eligible}
        restore_operations({pk: last for pk, last in before.items() if pk not in held})
    announce_change_from_thread(batch.pk)


def _refuse_unclaimed(
    claimed: Mapping[int, str | None], root: Node, eligible: dict[int, Node], result: OperationResult
) -> None:
    """Refuse what another operation retries at the same time, so that one of them says that it was accepted."""
    for position, node in list(eligible.items()):
        if node.pk not in claimed:
            result.refused.append(refusal(node, _("it is being retried already")))
            del eligible[position]
    if result.resumes_flow and root.pk not in claimed:
        result.resumes_flow = False


def _retry_own(operation: Operation, root: Node, eligible: dict[int, Node], result: OperationResult) -> None:
    batch, window = operation.batch, operation.window
    start, parents = root_input(batch), parents_in(batch)
    if window is not None:
        start = replace(start, window=window)
    try:
        with tracing.continued(batch.traceparent, "retry"):
            answer = async_to_sync(gateway().retry)(
                start,
                paths_above(eligible, parents),
                believed_open=open_ids(parents),
                update_id=_digest([*eligible.values(), *([root] if result.resumes_flow else [])]),
                lost=_without_results(eligible),
                kept=kept_state(batch),
            )
    except OutcomeUnknown as error:
        take_retry(operation, root, error.answer or ChildrenAnswer(), eligible, replace(result, resumes_flow=False))
        raise
    take_retry(operation, root, answer, eligible, result)


def take_retry(
    operation: Operation, root: Node, answer: ChildrenAnswer, eligible: Mapping[int, Node], result: OperationResult
) -> None:
    """Record what came of a retry: which children run again. The nodes are as they were when it was requested."""
    batch, window = operation.batch, operation.window
    _add_answer(answer, eligible, result)
    if not answer.accepted and not result.resumes_flow:
        return
    attempts = {position: eligible[position].attempt for position in answer.accepted}
    requeue(batch.pk, attempts, root_resumes=result.resumes_flow, window=window)
    if window is None or root.status != Status.RUNNING:
        return
    try:
        async_to_sync(gateway().set_window)(batch.pk, window)
    except (TemporalUnavailable, BatchNotRunning) as error:
        result.shortcomings.append(_("Max concurrency was not changed: %(error)s") % {"error": error})


def _rerun_external(batch: Batch, eligible: dict[int, Node], result: OperationResult) -> None:
    """Reset leaves of a watched tree, which run again with the same input. A parent that still waits notices it."""
    events = list[TreeEvent]()

    async def reset(node: Node) -> None:
        try:
            run_id = await gateway().external.reset(
                node.workflow_id, node.run_id, f"Retried in Canopy, batch {batch.pk}."
            )
        except ResetRefused as error:
            result.refused.append(refusal(node, str(error)))
        else:
            events.append(begun_again(node, run_id))
            result.accepted.append(node.pk)

    try:
        async_to_sync(_request_each)(eligible.values(), reset, result)
    finally:
        apply_events(batch.pk, events)


def _skip(operation: Operation, root: Node, eligible: dict[int, Node], result: OperationResult, mark: str) -> None:
    """Have parents continue without children. Failed ones that no parent waits for are marked in the database alone."""
    batch, parents = operation.batch, parents_in(operation.batch)
    try:
        answer = async_to_sync(gateway().skip_children)(
            root_input(batch),
            paths_above(eligible, parents),
            believed_open=open_ids(parents),
            update_id=f"skip-{mark}",
            lost=_without_results(eligible),
        )
    except OutcomeUnknown as error:
        take_skip(batch, error.answer or ChildrenAnswer(), eligible, result)
        raise
    take_skip(batch, answer, eligible, result)


def take_skip(batch: Batch, answer: ChildrenAnswer, eligible: Mapping[int, Node], result: OperationResult) -> None:
    """Record what came of a skip: which children the batch goes on without."""
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


def _without_results(eligible: Mapping[int, Node]) -> list[int]:
    """Return the children that completed for their parents, and whose results are lost."""
    return [position for position, node in eligible.items() if node.error_type == RESULTS_LOST]


def _add_answer(answer: ChildrenAnswer, eligible: Mapping[int, Node], result: OperationResult) -> None:
    result.accepted.extend(eligible[position].pk for position in answer.accepted)
    result.refused.extend(refusal(eligible[position], reason) for position, reason in answer.refused.items())


def _cancel(operation: Operation, root: Node, eligible: dict[int, Node], result: OperationResult, mark: str) -> None:
    async def cancel(node: Node) -> None:
        await gateway().cancel(node.workflow_id, mark=f"{mark}-{node.pk}")
        result.accepted.append(node.pk)

    async_to_sync(_request_each)(_workflows(eligible, result), cancel, result)


def _terminate(operation: Operation, root: Node, eligible: dict[int, Node], result: OperationResult, mark: str) -> None:
    why = f"{operation.person.get_username()}: {operation.reason or 'no reason given'}"

    async def terminate(node: Node) -> None:
        await gateway().terminate(node.workflow_id, why, mark=f"{mark}-{node.pk}")
        result.accepted.append(node.pk)

    async_to_sync(_request_each)(_workflows(eligible, result), terminate, result)


def _workflows(eligible: Mapping[int, Node], result: OperationResult) -> list[Node]:
    """Return the children that are workflows, and refuse the others."""
    others = [node for node in eligible.values() if not node.is_workflow]
    result.refused.extend(refusal(node, _("it is not a separate workflow")) for node in others)
    return [node for node in eligible.values() if node.is_workflow]


async def _request_each(
    nodes: Iterable[Node], request: Callable[[Node], Awaitable[None]], result: OperationResult
) -> None:
    """Send one request per child, AT_ONCE concurrently, and none after one that Temporal did not answer.

    Refuse a child that is not running. Raises TemporalUnavailable where none was sent, and OutcomeUnknown.
    """
    slots, away, unknown = asyncio.Semaphore(AT_ONCE), list[TemporalUnavailable](), list[Inquiry]()

    async def one(node: Node) -> None:
        async with slots:
            if away:
                result.refused.append(refusal(node, str(away[0])))
                return
            try:
                await request(node)
            except BatchNotRunning:
                result.refused.append(refusal(node, _("no longer running")))
            except OutcomeUnknown as error:
                away.append(error)
                unknown.extend(replace(inquiry, children=[node.position]) for inquiry in error.inquiries)
            except TemporalUnavailable as error:
                away.append(error)
                result.refused.append(refusal(node, str(error)))

    await asyncio.gather(*(one(node) for node in nodes))
    if unknown:
        raise OutcomeUnknown(str(away[0]), unknown)
    if away and not result.accepted:
        raise away[0]


def _digest(nodes: Iterable[Node]) -> str:
    """Return an id made of what a retry covers, so that a double click, or two operators at once, start one attempt."""
    content = ",".join(f"{node.pk}:{node.attempt}" for node in sorted(nodes, key=lambda node: node.pk))
    return hashlib.sha256(content.encode()).hexdigest()[:32]


_REQUESTS = {Action.RETRY: _retry, Action.SKIP: _skip, Action.CANCEL: _cancel, Action.TERMINATE: _terminate}
