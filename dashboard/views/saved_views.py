"""Saved views of the batch list: save and delete."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from dashboard.accounts.permissions import may_view
from dashboard.models import SavedView
from dashboard.pages.batches import saved_query


@require_POST
def view_save(request: HttpRequest) -> HttpResponse:
    """Save the filters, order and columns of the list under a name; overwrites a view of that name."""
    person = request.user
    assert may_view(person)  # the middleware lets nobody else in
    query, name = saved_query(QueryDict(request.POST.get("query", ""))), request.POST.get("name", "").strip()[:60]
    if not name:
        messages.error(request, _("Enter a name for the view."))
    else:
        values = {"query": query[:1_000], "is_shared": bool(request.POST.get("is_shared"))}
        SavedView.objects.update_or_create(owner=person, name=name, defaults=values)
        messages.success(request, _("Saved the view “%(name)s”.") % {"name": name})
    return HttpResponseRedirect(f"{reverse('batch-list')}?{query}".rstrip("?"))


@require_POST
def view_delete(request: HttpRequest, view_id: int) -> HttpResponse:
    """Delete one of a person's own saved views."""
    view = get_object_or_404(SavedView, pk=view_id, owner=request.user)
    view.delete()
    messages.success(request, _("Deleted the view “%(name)s”.") % {"name": view.name})
    return HttpResponseRedirect(reverse("batch-list"))
