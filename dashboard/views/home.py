"""The page that one begins with."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_safe

from dashboard.accounts.permissions import may_operate
from dashboard.queries.home import home_of
from dashboard.server.requests import HtmxHttpRequest, wants_fragment

VISIT_KEY = "canopy-looked"
"""Session key of [the last request of this visit, the end of the visit before], in ISO 8601."""

FIRST_VISIT = timedelta(days=1)
"""How far back the page goes on a first visit."""

SAME_VISIT = timedelta(minutes=15)
"""Requests within this time belong to the same visit: what was new stays on the page."""


@require_safe
def home(request: HtmxHttpRequest) -> HttpResponse:
    """Show what needs attention, what is running, and what has finished since the last visit."""
    since = _last_visit(request)
    template = "home.html#now" if wants_fragment(request) else "home.html"
    return render(request, template, {"page": home_of(since), "may_operate": may_operate(request.user)})


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
