"""Commands that Temporal did not answer: once it is known what came of one, everything says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.db import transaction
from django.utils import timezone

from dashboard.accounts.audit import ACCEPTED
from dashboard.actions.child_requests import OperationResult, refusal, take_retry, take_skip
from dashboard.actions.operations import record_result
from dashboard.database import fencing
from dashboard.live.doorbell import announce_change_from_thread
from dashboard.models import Action, Node, Operation, UnansweredCommand
from dashboard.projection.retries import restore_operations
from orchestration.client.inquiries import Reply
from orchestration.contracts.events import NodeKind
from orchestration.contracts.messages import ChildrenAnswer

NOT_DONE = "Failed: {reason} Nothing was changed."


def settle_command(command: UnansweredCommand, replies: Sequence[Reply]) -> None:
    """Record what came of a command, once: in its audit entry, its operation, and the rows of its children."""
    with transaction.atomic():
        now = timezone.now()
        if not UnansweredCommand.objects.filter(pk=command.pk, settled_at=None).update(settled_at=now):
            return
        if command.operation is not None:
            outcome = _settle_operation(command, command.operation, replies)
        else:
            reasons = [reply.reason for reply in replies if not reply.done]
            outcome = NOT_DONE.format(reason=reasons[0]) if reasons else ACCEPTED
        entry = command.audit
        entry.outcome = f"{outcome} Known {(now - command.sent_at).total_seconds():.0f} s later."
        entry.save(update_fields=["outcome"])
        fencing.confirm()
    announce_change_from_thread(command.batch_id)


def _settle_operation(command: UnansweredCommand, operation: Operation, replies: Sequence[Reply]) -> str:
    batch, action = operation.batch, Action(operation.action)
    root = Node.objects.get(batch=batch, kind=NodeKind.ROOT)
    eligible = _as_requested(command)
    resumes_flow = command.resumes_flow and all(reply.done for reply in replies)
    result = OperationResult(resumes_flow=resumes_flow, action=action)
    answer = _together(replies, command, eligible)
    if action is Action.RETRY and not batch.watched_id:
        take_retry(operation, root, answer, eligible, result)
    elif action is Action.SKIP:
        take_skip(batch, answer, eligible, result)
    else:
        result.accepted.extend(eligible[position].pk for position in answer.accepted)
        result.refused.extend(refusal(eligible[position], reason) for position, reason in answer.refused.items())
    if action is Action.RETRY:
        _release(command, result, eligible)
    record_result(operation, result)
    if command.resumes_flow and not resumes_flow and not result.accepted:
        return NOT_DONE.format(reason=next(reply.reason for reply in replies if not reply.done))
    return result.with_numbers(operation.accepted_number, operation.refused_number)


def _as_requested(command: UnansweredCommand) -> dict[int, Node]:
    """Return the children by position, with the attempt that they had when the command was sent."""
    attempts = {position: attempt for position, attempt, _before in command.reserved}
    nodes = Node.objects.filter(batch=command.batch_id, kind=NodeKind.CHILD, position__in=attempts)
    found = {node.position: node for node in nodes}
    for node in found.values():
        node.attempt = attempts[node.position]
    return found


def _together(replies: Sequence[Reply], command: UnansweredCommand, eligible: Mapping[int, Node]) -> ChildrenAnswer:
    answer = ChildrenAnswer()
    for reply, inquiry in zip(replies, command.inquiries, strict=True):
        children = [child for child in inquiry["children"] if child in eligible]
        if reply.done and not (reply.answer.accepted or reply.answer.refused or reply.answer.unasked):
            answer.accepted.extend(children)
            continue
        answer.accepted.extend(child for child in reply.answer.accepted if child in eligible)
        answer.unasked.extend(child for child in reply.answer.unasked if child in eligible)
        answer.refused.update({child: why for child, why in reply.answer.refused.items() if child in eligible})
    return answer


def _release(command: UnansweredCommand, result: OperationResult, eligible: Mapping[int, Node]) -> None:
    """Give children that are not retried back to the operation that they had, unless a later one has them."""
    accepted = {*result.accepted}
    before = {eligible[position].pk: operation for position, _attempt, operation in command.reserved}
    mine = Node.objects.filter(pk__in=before.keys() - accepted, operation=command.operation)
    restore_operations({pk: before[pk] for pk in mine.values_list("pk", flat=True)})
