"""What a button's POST answers: a toast, a redirect, or a refusal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from dashboard.actions.child_requests import OperationResult, Refusal
from dashboard.actions.targets import Targets, targets_with_error
from dashboard.errors import OperationError
from dashboard.i18n.formatting import numeral
from dashboard.models import Action, Batch
from dashboard.queries.selection import Selection
from dashboard.server.requests import HtmxHttpRequest, whole_numbers
from orchestration.errors.signatures import SIGNATURE_LENGTH


@dataclass(frozen=True)
class Answer:
    """Context of the partial `answer`: what became of an operation, and what was refused of it."""

    text: str
    is_error: bool = False
    refused: Sequence[Refusal] = ()


def answer(request: HtmxHttpRequest, batch_id: str, operate: Callable[[Batch], str | OperationResult]) -> HttpResponse:
    """Do an operation and answer with the partial, or without htmx with a message on the batch page."""
    batch = get_object_or_404(Batch, id=batch_id)
    try:
        outcome = operate(batch)
    except OperationError as error:
        return refused(request, batch, error)
    return _said(request, batch, _children_answer(outcome) if isinstance(outcome, OperationResult) else Answer(outcome))


def refused(request: HtmxHttpRequest, batch: Batch, error: OperationError) -> HttpResponse:
    """Say why nothing was done, where the button is."""
    response = _said(request, batch, Answer(error.message, is_error=True), error.status_code)
    response["HX-Retarget"] = "#answer"
    return response


def _said(request: HtmxHttpRequest, batch: Batch, said: Answer, status: int = 200) -> HttpResponse:
    if request.htmx:
        return render(request, "batches/batch_detail.html#answer", {"answer": said, "batch": batch}, status=status)
    messages.add_message(request, messages.ERROR if said.is_error else messages.SUCCESS, said.text)
    return HttpResponseRedirect(reverse("batch-detail", args=[batch.pk]))


DONE: dict[Action, Callable[[int], str]] = {
    Action.RETRY: lambda number: ngettext("Retrying %(number)s child.", "Retrying %(number)s children.", number),
    Action.SKIP: lambda number: ngettext("Skipped %(number)s child.", "Skipped %(number)s children.", number),
    Action.CANCEL: lambda number: ngettext(
        "Cancel requested for %(number)s child.", "Cancel requested for %(number)s children.", number
    ),
    Action.TERMINATE: lambda number: ngettext(
        "Terminated %(number)s child.", "Terminated %(number)s children.", number
    ),
}
"""What is said of the children that an action was accepted for."""

NOTHING_DONE = {
    Action.RETRY: gettext_lazy("Nothing was retried."),
    Action.SKIP: gettext_lazy("Nothing was skipped."),
    Action.CANCEL: gettext_lazy("Nothing was canceled."),
    Action.TERMINATE: gettext_lazy("Nothing was terminated."),
}
"""What is said where there are none."""


def _children_answer(outcome: OperationResult) -> Answer:
    accepted, number = len(outcome.accepted), len(outcome.refused)
    text = DONE[outcome.action](accepted) % {"number": numeral(accepted)}
    if outcome.resumes_flow:
        text = (
            _("The batch continues where it stopped. %(text)s") % {"text": text}
            if accepted
            else _("The batch continues where it stopped.")
        )
    elif not accepted:
        text = str(NOTHING_DONE[outcome.action])
    if number:
        reasons = sorted({refusal.reason for refusal in outcome.refused})
        text += _(" %(number)s refused: %(reasons)s.") % {"number": numeral(number), "reasons": ", ".join(reasons)}
    return Answer(text, is_error=not accepted and not outcome.resumes_flow, refused=outcome.refused)


def choice_of(given: QueryDict) -> Targets:
    """Read which children a form means: nodes, a group or status, the signature of an error, or a selection."""
    if group := given.get("status"):
        return Targets(status=group)
    if signature := given.get("signature"):
        return targets_with_error(signature[:SIGNATURE_LENGTH])
    selection = Selection.of(QueryDict(given.get("selection", "")).dict())
    if selection.is_narrow:
        return Targets(selection=selection)
    return Targets(nodes=whole_numbers(given.getlist("nodes")))
