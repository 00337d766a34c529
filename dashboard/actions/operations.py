"""Operations on many children: what is chosen is frozen and counted, confirmed, and done; a retry also at one press.

Each leaves an Operation, which tells what was asked for, what was taken on, and what has become of it since.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone
from django.utils.translation import gettext as _

from dashboard.accounts.audit import audited
from dashboard.accounts.permissions import Person, require_operator
from dashboard.actions.batch import check_window
from dashboard.actions.child_requests import OperationResult, refusal, request_action
from dashboard.actions.targets import ELIGIBLE_STATUSES, Targets, unfinished_in_stopped_stages
from dashboard.database import bulk
from dashboard.errors import OperationError
from dashboard.models import Action, Batch, BatchStatus, Node, Operation, position_ranges, positions_in
from orchestration.contracts.events import NodeKind
from orchestration.contracts.status import Status
from orchestration.processors.catalogue import processors

UNCONFIRMED_LIFETIME = timedelta(days=1)
"""How long a set that nobody confirms is kept."""


@dataclass(frozen=True)
class OperationOptions:
    """What a person says beside what is chosen: a reason, other parameters for it, another window."""

    reason: str = ""
    parameters: Mapping[str, Any] | None = None
    window: int | None = None


DEFAULT_OPTIONS = OperationOptions()


def freeze(person: Person, batch: Batch, action: Action, choice: Targets) -> Operation:
    """Note which children an action would be done to, and count them. Nothing is done yet.

    Raises PermissionDenied, and OperationError as `Choice.children` does, or 409 where the batch allows no such action.
    """
    operator = require_operator(person)
    root = Node.objects.get(batch=batch, kind=NodeKind.ROOT)
    _require_allowed(batch, root, action)
    Operation.objects.filter(
        batch=batch, confirmed_at=None, frozen_at__lt=timezone.now() - UNCONFIRMED_LIFETIME
    ).delete()
    return _frozen(operator, batch, action, choice, _chosen(batch, root, action, choice))


def confirm(person: Person, operation: Operation, wishes: OperationOptions = DEFAULT_OPTIONS) -> OperationResult:
    """Do what was frozen, once.

    Raises PermissionDenied and OperationError: 409 when it was confirmed before, 503 where Temporal is away.
    """
    operator = require_operator(person)
    batch, action = operation.batch, Action(operation.action)
    root = Node.objects.get(batch=batch, kind=NodeKind.ROOT)
    _require_allowed(batch, root, action)
    if wishes.window is not None:
        check_window(wishes.window)
    return _carry_out_once(operator, operation, root, list(_nodes_of(operation)), wishes)


def retry(person: Person, batch: Batch, choice: Targets) -> OperationResult:
    """Give children another attempt at once. A flow that stopped goes on, with what its stages had left.

    Raises PermissionDenied and OperationError: as `freeze` and `confirm` do.
    """
    operator = require_operator(person)
    root = Node.objects.get(batch=batch, kind=NodeKind.ROOT)
    chosen = _chosen(batch, root, Action.RETRY, choice)
    _require_allowed(batch, root, Action.RETRY)
    return _carry_out_once(
        operator, _frozen(operator, batch, Action.RETRY, choice, chosen), root, chosen, DEFAULT_OPTIONS
    )


def _require_allowed(batch: Batch, root: Node, action: Action) -> None:
    if root.attempt == 0:
        raise OperationError(
            _("The batch has not started yet, so there is nothing to %(lower)s.") % {"lower": action.label.lower()}, 409
        )
    if action is Action.SKIP and batch.watched_id:
        raise OperationError(_("Canopy only watches this tree: its own parents say how it goes on."), 409)
    if action is Action.RETRY and batch.status == BatchStatus.ROLLED_BACK:
        raise OperationError(
            _("The batch was rolled back: what had completed is undone. Launch it again instead."), 409
        )


def _resumes_flow(batch: Batch, root: Node) -> bool:
    return batch.may_go_on and Status(root.status).is_retryable


def _chosen(batch: Batch, root: Node, action: Action, choice: Targets) -> list[Node]:
    goes_on = action is Action.RETRY and _resumes_flow(batch, root)
    chosen = choice.children(batch, action, or_none=goes_on)
    if goes_on:
        chosen = list({node.pk: node for node in (*chosen, *unfinished_in_stopped_stages(batch))}.values())
    return sorted(chosen, key=lambda node: node.position)


def _frozen(operator: User, batch: Batch, action: Action, choice: Targets, chosen: Sequence[Node]) -> Operation:
    return Operation.objects.create(
        batch=batch,
        person=operator,
        action=action,
        words=choice.words(len(chosen))[:200],
        chosen=position_ranges([node.position for node in chosen]),
        number=len(chosen),
        items=sum(node.length - node.items_completed for node in chosen),
    )


def _nodes_of(operation: Operation) -> Iterator[Node]:
    """Yield the children that were frozen, as they are now."""
    for some in bulk.slices(list(positions_in(operation.chosen))):
        nodes = Node.objects.filter(batch=operation.batch, kind=NodeKind.CHILD, position__in=some)
        yield from nodes.order_by("position")


def _carry_out_once(
    operator: User, operation: Operation, root: Node, chosen: Sequence[Node], wishes: OperationOptions
) -> OperationResult:
    """Do what was frozen, once; where nothing could be done it can be confirmed again."""
    same = Operation.objects.filter(pk=operation.pk)
    if not same.filter(confirmed_at=None).update(confirmed_at=timezone.now()):
        raise OperationError(_("This was confirmed before."), 409)
    try:
        return _carry_out(operator, operation, root, chosen, wishes)
    except OperationError:
        same.update(confirmed_at=None)
        raise


def _carry_out(
    operator: User, operation: Operation, root: Node, chosen: Sequence[Node], wishes: OperationOptions
) -> OperationResult:
    batch, action = operation.batch, Action(operation.action)
    outcome = OperationResult(goes_on=action is Action.RETRY and _resumes_flow(batch, root), action=action)
    ready = dict[int, Node]()
    for node in chosen:
        if node.status in ELIGIBLE_STATUSES[action]:
            ready[node.position] = node
        else:
            outcome.refused.append(refusal(node, _why_not(node, action)))
    operation.reason, operation.window = wishes.reason[:200], wishes.window
    operation.parameters = dict(wishes.parameters) if wishes.parameters is not None else None
    operation.save(update_fields=["reason", "window", "parameters"])
    scope = " · ".join(part for part in (f"{operation.words} ({operation.number:,} children)", wishes.reason) if part)
    with audited(operator, batch, action.value, scope) as audit:
        if ready or outcome.goes_on:
            request_action(operation, root, ready, outcome)
        audit.outcome = str(outcome)
    operation.accepted_number, operation.refused_number = len(outcome.accepted), len(outcome.refused)
    operation.refused = [[each.position, each.reason] for each in outcome.refused[: Operation.REFUSALS_KEPT]]
    operation.save(update_fields=["accepted_number", "refused", "refused_number"])
    return outcome


def _why_not(node: Node, action: Action) -> str:
    if action is not Action.RETRY:
        return _("it is %(lower)s") % {"lower": node.get_status_display().lower()}
    return _("already completed") if node.status == Status.COMPLETED else _("already running")


def may_change_parameters(batch: Batch) -> bool:
    """Whether a retry may give children other parameters: of a batch of one processor that is known here."""
    processor = processors().get(batch.processor)
    is_of_one = batch.definition_id is None and not batch.watched_id
    return is_of_one and processor is not None and bool(processor.parameters_model.model_fields)
