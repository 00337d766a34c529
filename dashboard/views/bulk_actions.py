"""Bulk actions of the batch list: retry or cancel several batches, once confirmed, or tag them."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from dashboard.accounts.permissions import require_operator
from dashboard.actions.bulk import BulkAction, BulkOutcome, carry_out, preview
from dashboard.actions.labels import read_tags
from dashboard.errors import OperationError
from dashboard.i18n.formatting import numeral
from dashboard.models import Batch
from dashboard.pages.batch_list import saved_query
from dashboard.queries.batch_filter import BatchFilter

MAX_BATCHES = 1_000
"""The most batches of one bulk action."""

REASONS_SHOWN = 5


@require_POST
def batch_bulk(request: HttpRequest) -> HttpResponse:
    """Show what an action on the selected batches, or all that match the filter, affects; do it once confirmed."""
    operator = require_operator(request.user)
    query = QueryDict(request.POST.get("query", ""))
    back = f"{reverse('batch-list')}?{saved_query(query)}".rstrip("?")
    try:
        action, chosen = _action(request), _chosen(request, query)
        tags = _tags(request) if action is BulkAction.TAG else ()
    except OperationError as error:
        messages.error(request, error.message)
        return HttpResponseRedirect(back)
    if action is not BulkAction.TAG and not request.POST.get("confirmed"):
        page = {"page": preview(action, chosen), "back": back, "query": urlencode(query)}
        return render(request, "batches/batch_bulk.html", page)
    _report(request, carry_out(operator, action, chosen, tags))
    return HttpResponseRedirect(back)


def _action(request: HttpRequest) -> BulkAction:
    given = request.POST.get("action", "")
    if given not in BulkAction.values:
        raise OperationError(_("Unknown action."), 422)
    return BulkAction(given)


def _chosen(request: HttpRequest, query: QueryDict) -> list[Batch]:
    found = BatchFilter(query, Batch.objects.all(), request=request).qs
    if not request.POST.get("all"):
        found = Batch.objects.filter(pk__in=request.POST.getlist("batches"))
    chosen = list(found[: MAX_BATCHES + 1])
    if not chosen:
        raise OperationError(_("Nothing is selected."), 422)
    if len(chosen) > MAX_BATCHES:
        raise OperationError(_("Select at most %(limit)s batches.") % {"limit": numeral(MAX_BATCHES)}, 422)
    return chosen


def _tags(request: HttpRequest) -> Sequence[str]:
    if not (tags := read_tags(request.POST.get("tags", ""))):
        raise OperationError(_("Enter a tag."), 422)
    return tags


def _report(request: HttpRequest, outcome: BulkOutcome) -> None:
    """Say what was done, and which batches were left alone and why."""
    if outcome.affected:
        messages.success(request, _what_was_done(outcome))
    for each in outcome.left_alone[:REASONS_SHOWN]:
        messages.warning(request, f"{each.batch}: {each.reason}")
    if (more := len(outcome.left_alone) - REASONS_SHOWN) > 0:
        words = ngettext("… and %(number)s more was left alone.", "… and %(number)s more were left alone.", more)
        messages.warning(request, words % {"number": numeral(more)})


def _what_was_done(outcome: BulkOutcome) -> str:
    number, children = len(outcome.affected), outcome.children
    batches = ngettext("%(number)s batch", "%(number)s batches", number) % {"number": numeral(number)}
    if outcome.action is BulkAction.TAG:
        return _("Tagged %(batches)s.") % {"batches": batches}
    if outcome.action is BulkAction.CANCEL:
        return _("Cancel requested for %(batches)s.") % {"batches": batches}
    retried = ngettext(
        "Retrying %(number)s child of %(batches)s.", "Retrying %(number)s children of %(batches)s.", children
    )
    return retried % {"number": numeral(children), "batches": batches}
