"""Saved views of the batch list: save and delete."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from dashboard.accounts.permissions import may_view
from dashboard.models import SavedView
from dashboard.pages.batch_list import saved_query

MOST_VIEWS, MOST_SHARED = 100, 20
"""Views of one person; those that they share are in everybody's list."""


@require_POST
def view_save(request: HttpRequest) -> HttpResponse:
    """Save the filters, order and columns of the list under a name; overwrites a view of that name."""
    person = request.user
    assert may_view(person)  # the middleware lets nobody else in
    query, name = saved_query(QueryDict(request.POST.get("query", ""))), request.POST.get("name", "").strip()[:60]
    if not name:
        messages.error(request, _("Enter a name for the view."))
    elif problem := _limit_reached(person, name, is_shared=bool(request.POST.get("is_shared"))):
        messages.error(request, problem)
    else:
        values = {"query": query[:1_000], "is_shared": bool(request.POST.get("is_shared"))}
        SavedView.objects.update_or_create(owner=person, name=name, defaults=values)
        messages.success(request, _("Saved the view “%(name)s”.") % {"name": name})
    return HttpResponseRedirect(f"{reverse('batch-list')}?{query}".rstrip("?"))


def _limit_reached(person: User, name: str, *, is_shared: bool) -> str:
    """Return why a person may not save another view, as a sentence; empty if they may."""
    others = SavedView.objects.filter(owner=person).exclude(name=name)
    if others.count() >= MOST_VIEWS:
        return _("You have %(limit)s views: delete one first.") % {"limit": MOST_VIEWS}
    if is_shared and others.filter(is_shared=True).count() >= MOST_SHARED:
        return _("You share %(limit)s views: delete one first.") % {"limit": MOST_SHARED}
    return ""


@require_POST
def view_delete(request: HttpRequest, view_id: int) -> HttpResponse:
    """Delete one of a person's own saved views."""
    view = get_object_or_404(SavedView, pk=view_id, owner=request.user)
    view.delete()
    messages.success(request, _("Deleted the view “%(name)s”.") % {"name": view.name})
    return HttpResponseRedirect(reverse("batch-list"))
