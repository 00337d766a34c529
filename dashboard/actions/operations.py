"""Operations: an action on chosen children, frozen and counted, then confirmed and done; a retry also in one step.

Each is stored as an Operation: what was requested, what was accepted, and which children it affects. Actions on a batch
as a whole are in `batch`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone
from django.utils.translation import gettext as _

from dashboard.accounts.audit import audited, command_on, counted
from dashboard.accounts.permissions import Person, require_operator
from dashboard.actions.batch import check_window
from dashboard.actions.child_requests import OperationResult, refusal, request_action
from dashboard.actions.targets import ELIGIBLE_STATUSES, Targets, unfinished_in_stopped_stages
from dashboard.database import bulk
from dashboard.errors import NotKnownYet, OperationError
from dashboard.models import Action, Batch, BatchStatus, Node, Operation, position_ranges, positions_in
from orchestration.contracts.events import NodeKind
from orchestration.contracts.status import Status
from orchestration.processors.catalogue import processors

UNCONFIRMED_LIFETIME = timedelta(days=1)
"""Unconfirmed operations are deleted after this time."""


@dataclass(frozen=True)
class OperationOptions:
    """What a person may add when confirming: a reason, other parameters for the children, another window."""

    reason: str = ""
    parameters: Mapping[str, Any] | None = None
    window: int | None = None


DEFAULT_OPTIONS = OperationOptions()


def freeze(person: Person, batch: Batch, action: Action, targets: Targets) -> Operation:
    """Store which children an action would affect, and count them, without doing it.

    Raises PermissionDenied, and OperationError as `Targets.children` does, or 409 if the batch does not allow it or
    there is no such child.
    """
    operator = require_operator(person)
    root = Node.objects.get(batch=batch, kind=NodeKind.ROOT)
    _require_allowed(batch, root, action)
    Operation.objects.filter(
        batch=batch, confirmed_at=None, frozen_at__lt=timezone.now() - UNCONFIRMED_LIFETIME
    ).delete()
    children = _target_children(batch, root, action, targets)
    if not children and not (action is Action.RETRY and _resumes_flow(batch, root)):
        raise OperationError(_("%(action)s is not possible: no child has this status.") % {"action": action.label}, 409)
    return _create_operation(operator, batch, action, targets, children)


def confirm(person: Person, operation: Operation, options: OperationOptions = DEFAULT_OPTIONS) -> OperationResult:
    """Carry out a frozen operation, once.

    Raises PermissionDenied and OperationError: 409 if it was confirmed before, 503 if Temporal is unavailable.
    """
    operator = require_operator(person)
    batch, action = operation.batch, Action(operation.action)
    root = Node.objects.get(batch=batch, kind=NodeKind.ROOT)
    _require_allowed(batch, root, action)
    if options.window is not None:
        check_window(options.window)
    return _carry_out_once(operator, operation, root, list(_nodes_of(operation)), options)


def retry(person: Person, batch: Batch, targets: Targets) -> OperationResult:
    """Retry children in one step. A stopped flow resumes with what its stages have left.

    Raises PermissionDenied and OperationError as `freeze` and `confirm` do.
    """
    operator = require_operator(person)
    root = Node.objects.get(batch=batch, kind=NodeKind.ROOT)
    children = _target_children(batch, root, Action.RETRY, targets)
    _require_allowed(batch, root, Action.RETRY)
    return _carry_out_once(
        operator, _create_operation(operator, batch, Action.RETRY, targets, children), root, children, DEFAULT_OPTIONS
    )


def _require_allowed(batch: Batch, root: Node, action: Action) -> None:
    if root.attempt == 0:
        raise OperationError(
            _("%(action)s is not possible: the batch has not started yet.") % {"action": action.label}, 409
        )
    if action is Action.SKIP and batch.watched_id:
        raise OperationError(_("Canopy only watches this tree; its own parents control it."), 409)
    if action is Action.RETRY and batch.status == BatchStatus.ROLLED_BACK:
        raise OperationError(
            _("The batch was rolled back, and completed children were undone. Launch it again instead."), 409
        )


def _resumes_flow(batch: Batch, root: Node) -> bool:
    return batch.may_go_on and Status(root.status).is_retryable


def _target_children(batch: Batch, root: Node, action: Action, targets: Targets) -> list[Node]:
    resumes_flow = action is Action.RETRY and _resumes_flow(batch, root)
    children = targets.children(batch, action, allow_empty=resumes_flow)
    if resumes_flow:
        children = list({node.pk: node for node in (*children, *unfinished_in_stopped_stages(batch))}.values())
    return sorted(children, key=lambda node: node.position)


def _create_operation(
    operator: User, batch: Batch, action: Action, targets: Targets, children: Sequence[Node]
) -> Operation:
    return Operation.objects.create(
        batch=batch,
        person=operator,
        action=action,
        words=targets.description(len(children))[:200],
        chosen=position_ranges([node.position for node in children]),
        number=len(children),
        items=sum(node.length - node.items_completed for node in children),
    )


def _nodes_of(operation: Operation) -> Iterator[Node]:
    """Yield the children of an operation in their present state."""
    for positions in bulk.slices(list(positions_in(operation.chosen))):
        nodes = Node.objects.filter(batch=operation.batch, kind=NodeKind.CHILD, position__in=positions)
        yield from nodes.order_by("position")


def _carry_out_once(
    operator: User, operation: Operation, root: Node, children: Sequence[Node], options: OperationOptions
) -> OperationResult:
    """Carry out an operation unless it was confirmed before; if that fails as a whole, it can be confirmed again.

    One of which the outcome is not known counts as confirmed: its progress shows what came of it.
    """
    row = Operation.objects.filter(pk=operation.pk)
    if not row.filter(confirmed_at=None).update(confirmed_at=timezone.now(), answered_at=None):
        raise OperationError(_("This was already confirmed."), 409)
    try:
        return _carry_out(operator, operation, root, children, options)
    except NotKnownYet as error:
        error.operation = operation.pk
        raise
    except OperationError:
        row.update(confirmed_at=None)
        raise
    finally:
        row.update(answered_at=timezone.now())


def _carry_out(
    operator: User, operation: Operation, root: Node, children: Sequence[Node], options: OperationOptions
) -> OperationResult:
    batch, action = operation.batch, Action(operation.action)
    result = OperationResult(resumes_flow=action is Action.RETRY and _resumes_flow(batch, root), action=action)
    eligible = dict[int, Node]()
    for node in children:
        if node.status in ELIGIBLE_STATUSES[action]:
            eligible[node.position] = node
        else:
            result.refused.append(refusal(node, _refusal_reason(node, action)))
    operation.reason, operation.window = options.reason[:200], options.window
    operation.parameters = dict(options.parameters) if options.parameters is not None else None
    operation.save(update_fields=["reason", "window", "parameters"])
    targets = f"{operation.words} ({counted(operation.number, 'child', 'children')})"
    scope = " · ".join(part for part in (targets, options.reason) if part)
    command = command_on(batch, action.value, scope)
    command.operation = operation
    try:
        with audited(operator, batch, action.value, scope, command=command) as audit:
            if eligible or result.resumes_flow:
                request_action(operation, root, eligible, result, command)
            audit.outcome = str(result)
    except OperationError as error:
        if isinstance(error, NotKnownYet):
            record_result(operation, result)
        raise
    record_result(operation, result)
    return result


def record_result(operation: Operation, result: OperationResult) -> None:
    """Add what came of an operation to its record."""
    operation.accepted_number += len(result.accepted)
    operation.refused_number += len(result.refused)
    refused = [[each.position, each.reason] for each in result.refused]
    operation.refused = [*operation.refused, *refused][: Operation.REFUSALS_KEPT]
    operation.save(update_fields=["accepted_number", "refused", "refused_number"])


def _refusal_reason(node: Node, action: Action) -> str:
    if action is not Action.RETRY:
        return _("it is %(status)s") % {"status": node.get_status_display().lower()}
    return _("already completed") if node.status == Status.COMPLETED else _("already running")


def may_change_parameters(batch: Batch) -> bool:
    """Whether a retry may change parameters: only if the batch is of one processor, which is installed."""
    processor = processors().get(batch.processor)
    is_of_one = batch.definition_id is None and not batch.watched_id
    return is_of_one and processor is not None and bool(processor.parameters_model.model_fields)
