"""POST views of the buttons on a batch: each does one operation and says what became of it where the button is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from dashboard import operations
from dashboard.models import Batch, Node
from dashboard.operations import OperationError, Refusal, RetryOutcome
from orchestration.signatures import SIGNATURE_LENGTH


@dataclass(frozen=True)
class Answer:
    """Context of the partial `answer`: what became of an operation, and what was refused of it."""

    text: str
    is_error: bool = False
    refused: Sequence[Refusal] = ()


def _answer(request: HttpRequest, batch_id: str, operate: Callable[[Batch], str | RetryOutcome]) -> HttpResponse:
    """Do an operation and answer with the partial, or without htmx with a message on the batch page."""
    batch = get_object_or_404(Batch, id=batch_id)
    status = 200
    try:
        outcome = operate(batch)
        answer = _retry_answer(outcome) if isinstance(outcome, RetryOutcome) else Answer(outcome)
    except OperationError as error:
        answer, status = Answer(error.message, is_error=True), error.status_code
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, "batch_detail.html#answer", {"answer": answer, "batch": batch}, status=status)
    messages.add_message(request, messages.ERROR if answer.is_error else messages.SUCCESS, answer.text)
    return HttpResponseRedirect(reverse("batch-detail", args=[batch.pk]))


def _retry_answer(outcome: RetryOutcome) -> Answer:
    accepted, refused = len(outcome.accepted), len(outcome.refused)
    text = f"{accepted:,} {'child gets' if accepted == 1 else 'children get'} another attempt."
    if outcome.goes_on:
        text = f"It goes on where it stopped. {text}" if accepted else "It goes on where it stopped."
    elif not accepted:
        text = "Nothing was retried."
    if refused:
        reasons = sorted({refusal.reason for refusal in outcome.refused})
        text += f" {refused:,} refused: {', '.join(reasons)}."
    return Answer(text, is_error=not accepted and not outcome.goes_on, refused=outcome.refused)


@require_POST
def batch_retry(request: HttpRequest, batch_id: str) -> HttpResponse:
    """Retry the nodes named, all in a status, or all with an error of one kind."""
    named = [int(given) for given in request.POST.getlist("nodes") if given.isdecimal() and len(given) < 19]
    status = request.POST.get("status") or None
    signature = request.POST.get("signature", "")[:SIGNATURE_LENGTH]
    nodes = None if status or signature else named

    def operate(batch: Batch) -> RetryOutcome:
        return operations.retry(request.user, batch, nodes=nodes, status=status, signature=signature)

    return _answer(request, batch_id, operate)


@require_POST
def batch_pause(request: HttpRequest, batch_id: str) -> HttpResponse:
    """Start no more children."""

    def operate(batch: Batch) -> str:
        operations.pause(request.user, batch)
        return "Paused: open children go on, no further one starts."

    return _answer(request, batch_id, operate)


@require_POST
def node_steer(request: HttpRequest, batch_id: str, node_id: int, action: str) -> HttpResponse:
    """Pause one worker of a pool, or have it go on."""

    def operate(batch: Batch) -> str:
        worker = get_object_or_404(Node, batch=batch, pk=node_id)
        operations.steer_worker(request.user, worker, paused=action == "pause")
        if action == "pause":
            return f"Worker {worker.label} is paused once its hands are free; the others go on."
        return f"Worker {worker.label} goes on."

    return _answer(request, batch_id, operate)


@require_POST
def batch_resume(request: HttpRequest, batch_id: str) -> HttpResponse:
    """Start children again."""

    def operate(batch: Batch) -> str:
        operations.resume(request.user, batch)
        return "Resumed."

    return _answer(request, batch_id, operate)


@require_POST
def batch_skip(request: HttpRequest, batch_id: str) -> HttpResponse:
    """Let a held batch go on without what failed."""

    def operate(batch: Batch) -> str:
        operations.skip(request.user, batch)
        return "Going on without what failed."

    return _answer(request, batch_id, operate)


@require_POST
def batch_finish(request: HttpRequest, batch_id: str) -> HttpResponse:
    """End a held batch as it is."""

    def operate(batch: Batch) -> str:
        operations.finish(request.user, batch)
        return "Finishing: nothing more is started."

    return _answer(request, batch_id, operate)


@require_POST
def batch_decide(request: HttpRequest, batch_id: str) -> HttpResponse:
    """Approve that a batch starts, or refuse."""
    approved = request.POST.get("approved") == "yes"

    def operate(batch: Batch) -> str:
        operations.decide(request.user, batch, approved=approved)
        return "Approved: it goes on." if approved else "Refused: it goes no further."

    return _answer(request, batch_id, operate)


@require_POST
def batch_cancel(request: HttpRequest, batch_id: str) -> HttpResponse:
    """Ask all children to stop."""

    def operate(batch: Batch) -> str:
        operations.cancel(request.user, batch)
        return "Cancel requested: open children are asked to stop, pending ones are skipped."

    return _answer(request, batch_id, operate)


@require_POST
def batch_terminate(request: HttpRequest, batch_id: str) -> HttpResponse:
    """End the batch at once."""

    def operate(batch: Batch) -> str:
        operations.terminate(request.user, batch, request.POST.get("reason", "")[:200])
        return "Terminated. What had completed stays completed."

    return _answer(request, batch_id, operate)


@require_POST
def batch_roll_back(request: HttpRequest, batch_id: str) -> HttpResponse:
    """Undo what a closed batch has completed."""
    return _answer(request, batch_id, lambda batch: operations.roll_back(request.user, batch))


@require_POST
def batch_window(request: HttpRequest, batch_id: str) -> HttpResponse:
    """Change how many children may be open."""
    given = request.POST.get("window", "")

    def operate(batch: Batch) -> str:
        operations.set_window(request.user, batch, int(given) if given.isdecimal() and len(given) < 9 else 0)
        return f"At most {int(given):,} children open at a time."

    return _answer(request, batch_id, operate)


@require_POST
def batch_discard(request: HttpRequest, batch_id: str) -> HttpResponse:
    """Give up a batch that has not started."""

    def operate(batch: Batch) -> str:
        operations.discard(request.user, batch)
        return "Discarded: it will not start."

    return _answer(request, batch_id, operate)
