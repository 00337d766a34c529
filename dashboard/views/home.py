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

LOOKED = "canopy-looked"
"""In the session: [when this visit began, when the one before ended], in ISO 8601."""

FIRST = timedelta(days=1)
"""How far back it goes for somebody who has never looked."""

VISIT = timedelta(minutes=15)
"""Looking again within this time belongs to the same visit: what was new stays on the page."""


@require_safe
def home(request: HtmxHttpRequest) -> HttpResponse:
    """Show what needs a person now, what runs, and what ended since they looked last."""
    since = _since(request)
    template = "home.html#now" if wants_fragment(request) else "home.html"
    return render(request, template, {"page": home_of(since), "may_operate": may_operate(request.user)})


def _since(request: HtmxHttpRequest) -> datetime:
    """Return from when on things are new to this person, and note that they look now."""
    now = timezone.now()
    seen, since = (parse_datetime(each) for each in request.session.get(LOOKED, ("", "")))
    if seen is None or since is None:
        since = now - FIRST
    elif now - seen > VISIT:
        since = seen
    request.session[LOOKED] = [now.isoformat(), since.isoformat()]
    return since
