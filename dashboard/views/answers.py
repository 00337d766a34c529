"""Responses to actions: the partial `answer`, or without htmx a message and a redirect, to the batch or `back`."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import get_object_or_404, render
from django.urls import reverse

from dashboard.actions.child_requests import OperationResult
from dashboard.actions.targets import Targets, targets_with_error
from dashboard.errors import OperationError
from dashboard.models import Batch
from dashboard.pages.answers import Answer, answer_of
from dashboard.queries.selection import Selection
from dashboard.server.requests import HtmxHttpRequest, way_back, whole_numbers
from orchestration.errors.signatures import SIGNATURE_LENGTH


def answer(request: HtmxHttpRequest, batch_id: str, operate: Callable[[Batch], str | OperationResult]) -> HttpResponse:
    """Run an operation and respond with the partial, or without htmx with a message on the batch page."""
    batch = get_object_or_404(Batch, id=batch_id)
    try:
        outcome = operate(batch)
    except OperationError as error:
        return refused(request, batch, error)
    return _respond(request, batch, answer_of(outcome) if isinstance(outcome, OperationResult) else Answer(outcome))


def refused(request: HtmxHttpRequest, batch: Batch, error: OperationError) -> HttpResponse:
    """Respond with the reason of a refusal."""
    response = _respond(request, batch, Answer(error.message, is_error=True), error.status_code)
    response["HX-Retarget"] = "#answer"
    return response


def _respond(request: HtmxHttpRequest, batch: Batch, outcome: Answer, status: int = 200) -> HttpResponse:
    if request.htmx:
        return render(request, "batches/batch_detail.html#answer", {"answer": outcome, "batch": batch}, status=status)
    messages.add_message(request, messages.ERROR if outcome.is_error else messages.SUCCESS, outcome.text)
    return HttpResponseRedirect(way_back(request, reverse("batch-detail", args=[batch.pk])))


def targets_of(given: QueryDict) -> Targets:
    """Read the targets of a form: nodes, a status, the signature of an error, or a selection."""
    if group := given.get("status"):
        return Targets(status=group)
    if signature := given.get("signature"):
        return targets_with_error(signature[:SIGNATURE_LENGTH])
    selection = Selection.of(QueryDict(given.get("selection", "")).dict())
    if selection.is_narrow:
        return Targets(selection=selection)
    return Targets(nodes=whole_numbers(given.getlist("nodes")))
