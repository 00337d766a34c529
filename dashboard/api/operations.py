"""Operations on many children: one request freezes the selection and confirms it, another returns its outcome."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Router, Schema, Status
from pydantic import ConfigDict, Field, ValidationError

from dashboard.actions import operations
from dashboard.actions.operations import OperationOptions, may_change_parameters
from dashboard.actions.targets import Targets
from dashboard.api.responses import OPERATION, PROBLEMS
from dashboard.errors import FieldErrors, OperationError, reasons_by_field
from dashboard.models import Action, Batch, Operation
from dashboard.queries.operation_progress import progress_of
from dashboard.queries.selection import Selection
from orchestration.processors.catalogue import processors
from orchestration.processors.parameters import stored

router = Router()


class OperationIn(Schema):
    """An action and its targets. `span` is "first-last" by position, `text` a part of an item's key. `parameters`
    override the batch's for these children, `window` limits how many of them are open at a time.
    """

    model_config = ConfigDict(extra="forbid")

    action: Action = Action.RETRY
    nodes: list[int] | None = None
    status: str = ""
    signature: str = Field(default="", max_length=16)
    span: str = Field(default="", pattern=r"^(\d{1,7}-\d{1,7})?$")
    text: str = Field(default="", max_length=200)
    reason: str = Field(default="", max_length=200)
    parameters: dict[str, Any] | None = None
    window: int | None = None


class RefusedOut(Schema):
    """A child that was refused, by its position."""

    position: int
    reason: str


class OperationOut(Schema):
    """The targets of an operation, how many were accepted, and their outcomes: mended, failed again, or under way.

    `not_known_since` is when Temporal was asked without an answer, as long as it is not known what came of that.
    """

    id: str
    action: str
    words: str
    number: int
    items: int
    confirmed_at: datetime | None
    reason: str
    accepted: int
    refused: list[RefusedOut]
    refused_number: int
    mended: int
    failed: int
    under_way: int
    not_known_since: datetime | None = None


@router.post("/batches/{batch_id}/operations", response={**OPERATION, 201: OperationOut})
def create_operation(request: HttpRequest, batch_id: str, given: OperationIn) -> Status[dict[str, Any]]:
    """Retry, skip, cancel or terminate children: those named, in a status, with an error, or in a span of positions."""
    batch = get_object_or_404(Batch, id=batch_id)
    parameters = _parameters(batch, given.action, given.parameters) if given.parameters is not None else None
    operation = operations.freeze(request.user, batch, given.action, _targets(given))
    operations.confirm(request.user, operation, OperationOptions(given.reason, parameters, given.window))
    return Status(201, _state(Operation.objects.get(pk=operation.pk)))


@router.get("/batches/{batch_id}/operations/{operation_id}", response={200: OperationOut, **PROBLEMS})
def get_operation(request: HttpRequest, batch_id: str, operation_id: str) -> dict[str, Any]:
    """Return the targets of an operation and their outcomes."""
    return _state(get_object_or_404(Operation, batch_id=batch_id, pk=operation_id))


def _targets(given: OperationIn) -> Targets:
    narrowed = {"error": given.signature, "span": given.span, "q": given.text}
    selection = Selection.of({name: value for name, value in narrowed.items() if value})
    named = [given.nodes is not None, bool(given.status), selection.is_narrow]
    if sum(named) != 1:
        raise FieldErrors({"nodes": ["Provide exactly one of: nodes; status; any of signature, span and text."]})
    return Targets(given.nodes, given.status, selection)


def _parameters(batch: Batch, action: Action, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the batch's parameters with overrides. Raises FieldErrors, and OperationError (409) if they are fixed."""
    if action is not Action.RETRY or not may_change_parameters(batch):
        raise OperationError("The parameters of this batch cannot be changed.", 409)
    try:
        model = processors()[batch.processor].accept_parameters({**batch.parameters, **given}, given)
    except ValidationError as error:
        raise FieldErrors(reasons_by_field(error.errors(), below="parameters")) from error
    return stored(model)


def _state(operation: Operation) -> dict[str, Any]:
    (done,) = progress_of([operation])
    return {
        "id": operation.pk,
        "action": operation.action,
        "words": operation.words,
        "number": operation.number,
        "items": operation.items,
        "confirmed_at": operation.confirmed_at,
        "reason": operation.reason,
        "accepted": operation.accepted_number,
        "refused": [{"position": position, "reason": reason} for position, reason in operation.refused],
        "refused_number": operation.refused_number,
        "mended": done.fixed,
        "failed": done.failed,
        "under_way": done.under_way,
        "not_known_since": done.not_known_since,
    }
