"""Operations on many children in two steps: the targets are frozen and shown, then the operation is confirmed."""

from __future__ import annotations

from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from dashboard.accounts.permissions import may_operate, require_operator
from dashboard.actions import operations
from dashboard.errors import OperationError
from dashboard.models import Action, Batch, Operation
from dashboard.pages.operations import operation_page
from dashboard.server.requests import HtmxHttpRequest
from dashboard.views.answers import answer, refused, targets_of


@require_POST
def operation_create(request: HtmxHttpRequest, batch_id: str) -> HttpResponse:
    """Freeze the targets of an operation and show its confirmation dialog."""
    batch = get_object_or_404(Batch, id=batch_id)
    given = request.POST.get("action", "")
    action = Action(given) if given in Action.values else Action.RETRY
    try:
        operation = operations.freeze(request.user, batch, action, targets_of(request.POST))
    except OperationError as error:
        return refused(request, batch, error)
    if request.htmx:
        return render(request, "batches/operation.html#dialog", {"page": operation_page(operation)})
    return redirect("operation-detail", batch_id, operation.pk)


@require_safe
def operation_detail(request: HtmxHttpRequest, batch_id: str, operation_id: str) -> HttpResponse:
    """Show an operation, to operators with what confirms it; once it is confirmed, redirect to the batch."""
    operation = _operation(batch_id, operation_id)
    if operation.confirmed_at is not None:
        return HttpResponseRedirect(f"{reverse('batch-detail', args=[batch_id])}?operation={operation.pk}")
    page = operation_page(operation, may_operate=may_operate(request.user))
    return render(request, "batches/operation.html", {"page": page})


@require_POST
def operation_preview(request: HtmxHttpRequest, batch_id: str, operation_id: str) -> HttpResponse:
    """Show which parameters differ from those of the batch."""
    require_operator(request.user)
    page = operation_page(_operation(batch_id, operation_id), request.POST)
    return render(request, "batches/operation.html#difference", {"differences": page.differences})


@require_POST
def operation_confirm(request: HtmxHttpRequest, batch_id: str, operation_id: str) -> HttpResponse:
    """Confirm an operation, or show its dialog again with the errors."""
    require_operator(request.user)
    page = operation_page(_operation(batch_id, operation_id), request.POST)
    if page.is_valid:
        return answer(request, batch_id, lambda batch: operations.confirm(request.user, page.operation, page.options))
    if not request.htmx:
        return render(request, "batches/operation.html", {"page": page}, status=422)
    response = render(request, "batches/operation.html#dialog", {"page": page}, status=422)
    response["HX-Retarget"] = "#operation"
    return response


def _operation(batch_id: str, operation_id: str) -> Operation:
    """Return an operation of this batch; one of another is not found."""
    return get_object_or_404(Operation.objects.select_related("batch", "person"), batch_id=batch_id, pk=operation_id)
