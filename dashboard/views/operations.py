"""POST views of the buttons on a batch: each does one operation and says what became of it where the button is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from dashboard import on_children, operations
from dashboard.auditing import OperationError
from dashboard.child_actions import Outcome, Refusal
from dashboard.choosing import Choice, with_error
from dashboard.models import Batch, Node
from dashboard.operation_models import Action
from dashboard.selection import Selection
from dashboard.wording import numeral
from orchestration.signatures import SIGNATURE_LENGTH


@dataclass(frozen=True)
class Answer:
    """Context of the partial `answer`: what became of an operation, and what was refused of it."""

    text: str
    is_error: bool = False
    refused: Sequence[Refusal] = ()


def answer(request: HttpRequest, batch_id: str, operate: Callable[[Batch], str | Outcome]) -> HttpResponse:
    """Do an operation and answer with the partial, or without htmx with a message on the batch page."""
    batch = get_object_or_404(Batch, id=batch_id)
    try:
        outcome = operate(batch)
    except OperationError as error:
        return refused(request, batch, error)
    return _said(request, batch, _children_answer(outcome) if isinstance(outcome, Outcome) else Answer(outcome))


def refused(request: HttpRequest, batch: Batch, error: OperationError) -> HttpResponse:
    """Say why nothing was done, where the button is."""
    response = _said(request, batch, Answer(error.message, is_error=True), error.status_code)
    response["HX-Retarget"] = "#answer"
    return response


def _said(request: HttpRequest, batch: Batch, said: Answer, status: int = 200) -> HttpResponse:
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, "batch_detail.html#answer", {"answer": said, "batch": batch}, status=status)
    messages.add_message(request, messages.ERROR if said.is_error else messages.SUCCESS, said.text)
    return HttpResponseRedirect(reverse("batch-detail", args=[batch.pk]))


VERBS = {
    Action.RETRY: (
        gettext_lazy("gets another attempt"),
        gettext_lazy("get another attempt"),
        gettext_lazy("Nothing was retried."),
    ),
    Action.SKIP: (
        gettext_lazy("is gone on without"),
        gettext_lazy("are gone on without"),
        gettext_lazy("Nothing was skipped."),
    ),
    Action.CANCEL: (
        gettext_lazy("is asked to stop"),
        gettext_lazy("are asked to stop"),
        gettext_lazy("Nothing was canceled."),
    ),
    Action.TERMINATE: (
        gettext_lazy("was terminated"),
        gettext_lazy("were terminated"),
        gettext_lazy("Nothing was terminated."),
    ),
}
"""What becomes of one child, of several, and what is said where it is none."""


def _children_answer(outcome: Outcome) -> Answer:
    accepted, number = len(outcome.accepted), len(outcome.refused)
    one, several, none = VERBS[outcome.action]
    text = (
        _("1 child %(one)s.") % {"one": one}
        if accepted == 1
        else _("%(accepted)s children %(several)s.") % {"accepted": numeral(accepted), "several": several}
    )
    if outcome.goes_on:
        text = (
            _("It goes on where it stopped. %(text)s") % {"text": text}
            if accepted
            else _("It goes on where it stopped.")
        )
    elif not accepted:
        text = str(none)
    if number:
        reasons = sorted({refusal.reason for refusal in outcome.refused})
        text += _(" %(number)s refused: %(reasons)s.") % {"number": numeral(number), "reasons": ", ".join(reasons)}
    return Answer(text, is_error=not accepted and not outcome.goes_on, refused=outcome.refused)


@require_POST
def batch_retry(request: HttpRequest, batch_id: str) -> HttpResponse:
    """Retry the nodes named, all in a status, or all with an error of one kind."""
    choice = choice_of(request.POST)
    return answer(request, batch_id, lambda batch: on_children.retry(request.user, batch, choice))


def choice_of(given: QueryDict) -> Choice:
    """Read which children a form means: nodes, a group or status, the signature of an error, or a selection."""
    if group := given.get("status"):
        return Choice(status=group)
    if signature := given.get("signature"):
        return with_error(signature[:SIGNATURE_LENGTH])
    selection = Selection.of(QueryDict(given.get("selection", "")).dict())
    if selection.is_narrow:
        return Choice(selection=selection)
    return Choice(nodes=[int(each) for each in given.getlist("nodes") if each.isdecimal() and len(each) < 19])


@require_POST
def batch_pause(request: HttpRequest, batch_id: str) -> HttpResponse:
    """Start no more children."""

    def operate(batch: Batch) -> str:
        operations.pause(request.user, batch)
        return _("Paused: open children go on, no further one starts.")

    return answer(request, batch_id, operate)


@require_POST
def node_steer(request: HttpRequest, batch_id: str, node_id: int, action: str) -> HttpResponse:
    """Pause one worker of a pool, or have it go on."""

    def operate(batch: Batch) -> str:
        worker = get_object_or_404(Node, batch=batch, pk=node_id)
        operations.steer_worker(request.user, worker, paused=action == "pause")
        if action == "pause":
            return _("Worker %(label)s is paused once its hands are free; the others go on.") % {"label": worker.label}
        return _("Worker %(label)s goes on.") % {"label": worker.label}

    return answer(request, batch_id, operate)


@require_POST
def batch_resume(request: HttpRequest, batch_id: str) -> HttpResponse:
    """Start children again."""

    def operate(batch: Batch) -> str:
        operations.resume(request.user, batch)
        return "Resumed."

    return answer(request, batch_id, operate)


@require_POST
def batch_skip(request: HttpRequest, batch_id: str) -> HttpResponse:
    """Let a held batch go on without what failed."""

    def operate(batch: Batch) -> str:
        operations.skip(request.user, batch)
        return _("Going on without what failed.")

    return answer(request, batch_id, operate)


@require_POST
def batch_finish(request: HttpRequest, batch_id: str) -> HttpResponse:
    """End a held batch as it is."""

    def operate(batch: Batch) -> str:
        operations.finish(request.user, batch)
        return _("Finishing: nothing more is started.")

    return answer(request, batch_id, operate)


@require_POST
def batch_decide(request: HttpRequest, batch_id: str) -> HttpResponse:
    """Approve that a batch starts, or refuse."""
    approved = request.POST.get("approved") == "yes"

    def operate(batch: Batch) -> str:
        operations.decide(request.user, batch, approved=approved)
        return _("Approved: it goes on.") if approved else _("Refused: it goes no further.")

    return answer(request, batch_id, operate)


@require_POST
def batch_cancel(request: HttpRequest, batch_id: str) -> HttpResponse:
    """Ask all children to stop."""

    def operate(batch: Batch) -> str:
        operations.cancel(request.user, batch)
        return _("Cancel requested: open children are asked to stop, pending ones are skipped.")

    return answer(request, batch_id, operate)


@require_POST
def batch_terminate(request: HttpRequest, batch_id: str) -> HttpResponse:
    """End the batch at once."""

    def operate(batch: Batch) -> str:
        operations.terminate(request.user, batch, request.POST.get("reason", "")[:200])
        return _("Terminated. What had completed stays completed.")

    return answer(request, batch_id, operate)


@require_POST
def batch_roll_back(request: HttpRequest, batch_id: str) -> HttpResponse:
    """Undo what a closed batch has completed."""
    return answer(request, batch_id, lambda batch: operations.roll_back(request.user, batch))


@require_POST
def batch_window(request: HttpRequest, batch_id: str) -> HttpResponse:
    """Change how many children may be open."""
    given = request.POST.get("window", "")

    def operate(batch: Batch) -> str:
        operations.set_window(request.user, batch, int(given) if given.isdecimal() and len(given) < 9 else 0)
        return _("At most %(given)s children open at a time.") % {"given": numeral(int(given))}

    return answer(request, batch_id, operate)


@require_POST
def batch_discard(request: HttpRequest, batch_id: str) -> HttpResponse:
    """Give up a batch that has not started."""

    def operate(batch: Batch) -> str:
        operations.discard(request.user, batch)
        return _("Discarded: it will not start.")

    return answer(request, batch_id, operate)
