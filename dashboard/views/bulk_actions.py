"""Bulk actions of the batch list: retry, cancel or tag several batches at once."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from dashboard.accounts.permissions import require_operator
from dashboard.actions import batch as batch_actions
from dashboard.actions import labels, operations
from dashboard.actions.targets import FAILED, Targets
from dashboard.errors import OperationError
from dashboard.i18n.formatting import numeral
from dashboard.models import Batch
from dashboard.pages.batches import saved_query
from dashboard.queries.batch_filter import BatchFilter

MAX_BATCHES = 1_000
"""The most batches of one bulk action."""


def _retry(request: HttpRequest, batch: Batch) -> None:
    operations.retry(request.user, batch, Targets(status=FAILED))


def _cancel(request: HttpRequest, batch: Batch) -> None:
    batch_actions.cancel(request.user, batch)


def _tag(request: HttpRequest, batch: Batch) -> None:
    names = labels.read_tags(request.POST.get("tags", ""))
    if not names:
        raise OperationError(_("Enter a tag."), 422)
    labels.add_tags(request.user, batch, names)


ACTIONS: dict[str, tuple[Callable[[HttpRequest, Batch], None], Callable[[int], str]]] = {
    "retry": (_retry, lambda number: ngettext("Retried %(number)s batch.", "Retried %(number)s batches.", number)),
    "cancel": (
        _cancel,
        lambda number: ngettext(
            "Cancel requested for %(number)s batch.", "Cancel requested for %(number)s batches.", number
        ),
    ),
    "tag": (_tag, lambda number: ngettext("Tagged %(number)s batch.", "Tagged %(number)s batches.", number)),
}


@require_POST
def batch_bulk(request: HttpRequest) -> HttpResponse:
    """Run an action on the selected batches or all that match the filter, and report the outcomes as messages."""
    require_operator(request.user)
    act, done = ACTIONS.get(request.POST.get("action", ""), (None, None))
    query = QueryDict(request.POST.get("query", ""))
    back = f"{reverse('batch-list')}?{saved_query(query)}".rstrip("?")
    found = BatchFilter(query, Batch.objects.all(), request=request).qs
    if not request.POST.get("all"):
        found = Batch.objects.filter(pk__in=request.POST.getlist("batches"))
    chosen = list(found[: MAX_BATCHES + 1])
    if act is None or not chosen or len(chosen) > MAX_BATCHES:
        wrong = (
            _("Nothing is selected.")
            if not chosen
            else _("Select at most %(limit)s batches.") % {"limit": numeral(MAX_BATCHES)}
        )
        messages.error(request, wrong if act is not None else _("Unknown action."))
        return HttpResponseRedirect(back)
    refused = list[str]()
    for batch in chosen:
        try:
            act(request, batch)
        except OperationError as error:
            refused.append(f"{batch}: {error.message}")
    number = len(chosen) - len(refused)
    if number and done is not None:
        messages.success(request, done(number) % {"number": numeral(number)})
    for text in refused[:5]:
        messages.warning(request, text)
    if len(refused) > 5:
        more = len(refused) - 5
        words = ngettext("… and %(number)s more was refused.", "… and %(number)s more were refused.", more)
        messages.warning(request, words % {"number": numeral(more)})
    return HttpResponseRedirect(back)
