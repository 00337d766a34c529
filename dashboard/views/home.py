"""The page that one begins with, and what is done from it."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from dashboard.accounts.permissions import require_operator
from dashboard.actions import inbox
from dashboard.i18n.formatting import numeral
from dashboard.launching.demo import launch_demo
from dashboard.models import Batch, Need
from dashboard.pages.home import home_page
from dashboard.queries.home import SHOWN
from dashboard.server.requests import HtmxHttpRequest, wants_fragment
from dashboard.views.answers import answer

VISIT_KEY = "canopy-looked"
"""Session key of [the last request of this visit, the end of the visit before], in ISO 8601."""

FIRST_VISIT = timedelta(days=1)
"""What is new on a first visit."""

SAME_VISIT = timedelta(minutes=15)
"""Requests within this time belong to the same visit: what was new stays so."""


@require_safe
def home(request: HtmxHttpRequest) -> HttpResponse:
    """Show what requires action, what is running, and what has finished."""
    since = _last_visit(request)
    template = "home.html#now" if wants_fragment(request) else "home.html"
    return render(request, template, {"page": home_page(request.user, since)})


@require_POST
def demo_launch(request: HttpRequest) -> HttpResponse:
    """Launch the demo batch and go to it."""
    return redirect("batch-detail", launch_demo(request.user).batch.pk)


@require_POST
def batch_dismiss(request: HtmxHttpRequest, batch_id: str) -> HttpResponse:
    """Take a batch out of what requires action."""

    def operate(batch: Batch) -> str:
        inbox.dismiss(request.user, batch, request.POST.get("need", ""))
        return _("Dismissed %(batch)s. It comes back when it needs something again.") % {"batch": batch}

    return answer(request, batch_id, operate)


@require_POST
def inbox_dismiss(request: HttpRequest) -> HttpResponse:
    """Take the named batches that finished with failures out of what requires action."""
    operator = require_operator(request.user)
    found = list(Batch.objects.filter(pk__in=request.POST.getlist("batches")[:SHOWN]))
    for batch in found:
        inbox.dismiss(operator, batch, Need.FAILED)
    words = ngettext("Dismissed %(number)s batch.", "Dismissed %(number)s batches.", len(found))
    messages.success(request, words % {"number": numeral(len(found))})
    return redirect("home")


@require_POST
def batch_assign(request: HtmxHttpRequest, batch_id: str) -> HttpResponse:
    """Assign a batch to an operator, or to nobody."""

    def operate(batch: Batch) -> str:
        assignee = inbox.assign(request.user, batch, request.POST.get("person", ""))
        if assignee is None:
            return _("%(batch)s is not assigned to anybody.") % {"batch": batch}
        return _("Assigned %(batch)s to %(person)s.") % {"batch": batch, "person": assignee.get_username()}

    return answer(request, batch_id, operate)


def _last_visit(request: HtmxHttpRequest) -> datetime:
    """Return when the visit before this one ended, and record this request."""
    now = timezone.now()
    previous, since = (parse_datetime(each) for each in request.session.get(VISIT_KEY, ("", "")))
    if previous is None or since is None:
        since = now - FIRST_VISIT
    elif now - previous > SAME_VISIT:
        since = previous
    request.session[VISIT_KEY] = [now.isoformat(), since.isoformat()]
    return since
