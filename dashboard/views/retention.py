"""Retention: rules, a dry run, the last runs, and which batches are kept."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from dashboard.errors import FieldErrors, OperationError
from dashboard.forms.retention import RetentionRuleForm
from dashboard.models import Batch, RetentionRule
from dashboard.pages.retention import retention_page
from dashboard.retention import changes
from dashboard.server.requests import HtmxHttpRequest
from dashboard.views.answers import answer


@require_http_methods(["GET", "HEAD", "POST"])
def retention(request: HttpRequest) -> HttpResponse:
    """Show rules and runs, with `preview` in the query string also what a run would delete; or add a rule."""
    form = RetentionRuleForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            changes.add_rule(request.user, **form.cleaned_data)
        except FieldErrors as error:
            for field, reasons in error.errors.items():
                form.add_error(field, reasons)
        else:
            messages.success(request, _("Rule added. Nothing is deleted before the next run: see the dry run below."))
            return HttpResponseRedirect(f"{reverse('retention')}?preview=1")
    page = retention_page(request.user, form, asks_preview="preview" in request.GET)
    return render(request, "retention.html", {"page": page}, status=422 if form.errors else 200)


@require_POST
def retention_rule_remove(request: HttpRequest, rule_id: int) -> HttpResponse:
    """Remove a rule."""
    changes.remove_rule(request.user, get_object_or_404(RetentionRule, pk=rule_id))
    messages.success(request, _("Rule removed."))
    return HttpResponseRedirect(reverse("retention"))


@require_POST
def retention_run(request: HttpRequest) -> HttpResponse:
    """Delete what is due now, in the background."""
    try:
        changes.run_now(request.user)
        messages.success(request, _("Deleting what is due. The list of runs shows how far it is."))
    except OperationError as error:
        messages.error(request, error.message)
    return HttpResponseRedirect(reverse("retention"))


@require_POST
def batch_keep(request: HtmxHttpRequest, batch_id: str) -> HttpResponse:
    """Keep a batch whatever the rules say, or no longer."""
    keep = request.POST.get("keep") == "1"

    def operate(batch: Batch) -> str:
        changes.set_keep(request.user, batch, keep=keep)
        return _("Retention leaves this batch alone.") if keep else _("Retention rules apply to this batch again.")

    return answer(request, batch_id, operate)
