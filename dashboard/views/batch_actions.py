"""Actions on a batch: each view runs one operation and responds with its outcome."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from dashboard.accounts.permissions import Person
from dashboard.actions import batch as batch_actions
from dashboard.actions import operations
from dashboard.i18n.formatting import numeral
from dashboard.models import Batch, Node
from dashboard.models.tallies import failed_children
from dashboard.server.requests import HtmxHttpRequest, whole_number
from dashboard.views.answers import answer, targets_of


@require_POST
def batch_retry(request: HtmxHttpRequest, batch_id: str) -> HttpResponse:
    """Retry the selected nodes, all in a status, or all with one error."""
    targets = targets_of(request.POST)
    return answer(request, batch_id, lambda batch: operations.retry(request.user, batch, targets))


@require_POST
def batch_pause(request: HtmxHttpRequest, batch_id: str) -> HttpResponse:
    """Pause a batch: start no more children."""
    return _act(request, batch_id, batch_actions.pause, _("Paused: running children continue, no new ones start."))


@require_POST
def node_pause_or_resume(request: HtmxHttpRequest, batch_id: str, node_id: int, action: str) -> HttpResponse:
    """Pause or resume one worker of a pool."""

    def operate(batch: Batch) -> str:
        worker = get_object_or_404(Node, batch=batch, pk=node_id)
        batch_actions.set_worker_paused(request.user, worker, paused=action == "pause")
        if action == "pause":
            return _("Worker %(label)s pauses after its current chunk; the others continue.") % {"label": worker.label}
        return _("Worker %(label)s resumed.") % {"label": worker.label}

    return answer(request, batch_id, operate)


@require_POST
def batch_resume(request: HtmxHttpRequest, batch_id: str) -> HttpResponse:
    """Resume a paused batch."""
    return _act(request, batch_id, batch_actions.resume, _("Resumed."))


@require_POST
def batch_skip(request: HtmxHttpRequest, batch_id: str) -> HttpResponse:
    """Skip the failed children of a held batch and continue it."""

    def operate(batch: Batch) -> str:
        batch_actions.skip(request.user, batch)
        failed = failed_children(batch)
        return ngettext("Skipped %(number)s failed child.", "Skipped %(number)s failed children.", failed) % {
            "number": numeral(failed)
        }

    return answer(request, batch_id, operate)


@require_POST
def batch_finish(request: HtmxHttpRequest, batch_id: str) -> HttpResponse:
    """Close a held batch as it is."""
    return _act(request, batch_id, batch_actions.finish, _("Finishing: no more children start."))


@require_POST
def batch_decide(request: HtmxHttpRequest, batch_id: str) -> HttpResponse:
    """Approve or reject the start of a batch."""
    approved = request.POST.get("approved") == "yes"

    def operate(batch: Batch) -> str:
        batch_actions.decide(request.user, batch, approved=approved)
        if not approved:
            return _("Rejected.")
        return _("Approved. Batch started.") if batch.definition_id is None else _("Approved. Batch resumed.")

    return answer(request, batch_id, operate)


@require_POST
def batch_cancel(request: HtmxHttpRequest, batch_id: str) -> HttpResponse:
    """Request cancellation of a batch."""
    return _act(
        request,
        batch_id,
        batch_actions.cancel,
        _("Cancel requested: running children are asked to stop, pending ones are skipped."),
    )


@require_POST
def batch_terminate(request: HtmxHttpRequest, batch_id: str) -> HttpResponse:
    """Terminate a batch at once."""

    def operate(batch: Batch) -> str:
        batch_actions.terminate(request.user, batch, request.POST.get("reason", "")[:200])
        return _("Terminated. Completed children stay completed.")

    return answer(request, batch_id, operate)


@require_POST
def batch_roll_back(request: HtmxHttpRequest, batch_id: str) -> HttpResponse:
    """Roll back what a closed batch has completed."""
    return answer(request, batch_id, lambda batch: batch_actions.roll_back(request.user, batch))


@require_POST
def batch_window(request: HtmxHttpRequest, batch_id: str) -> HttpResponse:
    """Change how many children may be open at a time."""
    window = whole_number(request.POST.get("window", ""), 0)

    def operate(batch: Batch) -> str:
        batch_actions.set_window(request.user, batch, window)
        return _("Max concurrency set to %(window)s.") % {"window": numeral(window)}

    return answer(request, batch_id, operate)


@require_POST
def batch_discard(request: HtmxHttpRequest, batch_id: str) -> HttpResponse:
    """Discard a batch that has not started."""
    return _act(request, batch_id, batch_actions.discard, _("Discarded: the batch will not start."))


def _act(
    request: HtmxHttpRequest, batch_id: str, operate: Callable[[Person, Batch], None], message: str
) -> HttpResponse:
    """Run an operation that takes nothing but the batch, and respond with a message."""

    def operate_and_report(batch: Batch) -> str:
        operate(request.user, batch)
        return message

    return answer(request, batch_id, operate_and_report)
