"""Tags, notes, saved views, and what is done to several batches of the list at once."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from dashboard import labelling, on_children, operations
from dashboard.auditing import OperationError
from dashboard.choosing import FAILED, Choice
from dashboard.filters import BatchFilter
from dashboard.list_models import SavedView
from dashboard.models import Batch
from dashboard.permissions import may_view, require_operator
from dashboard.views.batches import saved_query
from dashboard.views.operations import answer
from dashboard.wording import Words, numeral

MOST_BATCHES = 1_000
"""What one press of a button is done to."""


@require_POST
def batch_labels(request: HttpRequest, batch_id: str) -> HttpResponse:
    """Keep the tags and the note of a batch."""

    def operate(batch: Batch) -> str:
        labelling.set_tags(request.user, batch, labelling.read_tags(request.POST.get("tags", "")))
        labelling.set_note(request.user, batch, request.POST.get("note", ""))
        return _("Tags and note are kept.")

    return answer(request, batch_id, operate)


def _retry(request: HttpRequest, batch: Batch) -> None:
    on_children.retry(request.user, batch, Choice(status=FAILED))


def _cancel(request: HttpRequest, batch: Batch) -> None:
    operations.cancel(request.user, batch)


def _tag(request: HttpRequest, batch: Batch) -> None:
    names = labelling.read_tags(request.POST.get("tags", ""))
    if not names:
        raise OperationError(_("No tag was given."), 422)
    labelling.add_tags(request.user, batch, names)


ACTIONS: dict[str, tuple[Callable[[HttpRequest, Batch], None], Words]] = {
    "retry": (_retry, gettext_lazy("Retried")),
    "cancel": (_cancel, gettext_lazy("Cancel requested:")),
    "tag": (_tag, gettext_lazy("Tagged")),
}


@require_POST
def batch_bulk(request: HttpRequest) -> HttpResponse:
    """Retry, cancel or tag the batches that are ticked, or all that the filter shows, and say what became of each."""
    require_operator(request.user)
    act, done = ACTIONS.get(request.POST.get("action", ""), (None, ""))
    query = QueryDict(request.POST.get("query", ""))
    back = f"{reverse('batch-list')}?{saved_query(query)}".rstrip("?")
    found = BatchFilter(query, Batch.objects.all(), request=request).qs
    if not request.POST.get("all"):
        found = Batch.objects.filter(pk__in=request.POST.getlist("batches"))
    chosen = list(found[: MOST_BATCHES + 1])
    if act is None or not chosen or len(chosen) > MOST_BATCHES:
        wrong = (
            _("Nothing is selected.")
            if not chosen
            else _("At most %(most_batches)s batches at once.") % {"most_batches": numeral(MOST_BATCHES)}
        )
        messages.error(request, wrong if act is not None else _("There is no such action."))
        return HttpResponseRedirect(back)
    refused = list[str]()
    for batch in chosen:
        try:
            act(request, batch)
        except OperationError as error:
            refused.append(f"{batch}: {error.message}")
    number = len(chosen) - len(refused)
    if number:
        messages.success(request, f"{done} {number:,} batch{'' if number == 1 else 'es'}.")
    for text in refused[:5]:
        messages.warning(request, text)
    if len(refused) > 5:
        messages.warning(request, _("… and %(refused)s more were refused.") % {"refused": numeral(len(refused) - 5)})
    return HttpResponseRedirect(back)


@require_POST
def view_save(request: HttpRequest) -> HttpResponse:
    """Keep the filters and the order of the list under a name; one of that name is changed."""
    person = request.user
    assert may_view(person)  # the middleware lets nobody else in
    query, name = saved_query(QueryDict(request.POST.get("query", ""))), request.POST.get("name", "").strip()[:60]
    if not name:
        messages.error(request, _("A saved view needs a name."))
    else:
        kept = {"query": query[:1_000], "is_shared": bool(request.POST.get("is_shared"))}
        SavedView.objects.update_or_create(owner=person, name=name, defaults=kept)
        messages.success(request, _("The view “%(name)s” is saved.") % {"name": name})
    return HttpResponseRedirect(f"{reverse('batch-list')}?{query}".rstrip("?"))


@require_POST
def view_delete(request: HttpRequest, view_id: int) -> HttpResponse:
    """Remove one of a person's own saved views; those of others are not found."""
    view = get_object_or_404(SavedView, pk=view_id, owner=request.user)
    view.delete()
    messages.success(request, _("The view “%(name)s” is gone.") % {"name": view.name})
    return HttpResponseRedirect(reverse("batch-list"))
