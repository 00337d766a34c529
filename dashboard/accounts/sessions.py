"""Sessions of browsers: how long they last, and what has to be done in them first."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.models import Group, User
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import resolve_url
from django.utils.deprecation import MiddlewareMixin

from dashboard.metrics.requests import note_person
from dashboard.server.problems import is_api

FIRST_PASSWORD = "first-password"  # noqa: S105  a group's name
"""Group of accounts whose password somebody else has made; who changes it leaves the group."""

BEGAN, SEEN, IS_FIRST = "canopy_began", "canopy_seen", "canopy_first_password"
"""Keys of a session: seconds of the epoch of its log-in and of a person's last act, and whether in FIRST_PASSWORD."""

RENEWALS = 48
"""Parts of the idle time; a session is written again once in each."""

POLLING = frozenset({"now", "queues"})
"""Ids of the elements that ask by themselves every few seconds."""

FOR_NOBODY = frozenset({"javascript-catalog"})
"""Names of routes that answer without knowing who asks, also while the database is away."""

WITHOUT_CHANGE = frozenset({"login", "logout", "password-change", "appearance"})
"""Names of routes that are open before the first password is changed."""


def password_is_first(person: User) -> None:
    """Note that somebody else knows a person's password."""
    person.groups.add(Group.objects.get_or_create(name=FIRST_PASSWORD)[0])


def password_is_own(request: HttpRequest, person: User) -> None:
    """Note that a person has chosen a password of their own."""
    person.groups.remove(*Group.objects.filter(name=FIRST_PASSWORD))
    request.session.pop(IS_FIRST, None)


class SessionLimits(MiddlewareMixin):
    """Ends sessions that are idle for SESSION_COOKIE_AGE or older than CANOPY_SESSION_SECONDS.

    Both become the time at which the stored session expires, which websockets ask too. Where the dashboard is reachable
    from other machines, a session that began with the first password leads to its change.
    """

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], arguments: Any, named: Any
    ) -> HttpResponse | None:
        """Renew or end the session; return where to change the password, or None to go on."""
        if _route(request) in FOR_NOBODY or not isinstance(request.user, User):
            return None
        note_person(request, request.user)
        session, now = request.session, time.time()
        if BEGAN not in session:  # it is of an earlier release
            begin_session(None, request, request.user)
        left = session[BEGAN] + settings.CANOPY_SESSION_SECONDS - now
        if left <= 0:
            logout(request)
            return None
        if _is_a_person(request) and now - session[SEEN] > _idle() / RENEWALS:
            _renew(session, now, left)
        return _change_first(request) if session.get(IS_FIRST) and settings.NEW_PASSWORD_REQUIRED else None


def begin_session(sender: Any, request: HttpRequest, user: User, **others: Any) -> None:
    """Note when a person has logged in (a receiver of user_logged_in), and whether with the first password."""
    request.session[BEGAN] = now = time.time()
    request.session[IS_FIRST] = user.groups.filter(name=FIRST_PASSWORD).exists()
    _renew(request.session, now, settings.CANOPY_SESSION_SECONDS)


def _renew(session: SessionBase, now: float, left: float) -> None:
    session[SEEN] = now
    session.set_expiry(max(1, int(min(_idle(), left))))


def _idle() -> int:
    return int(settings.SESSION_COOKIE_AGE)


def _is_a_person(request: HttpRequest) -> bool:
    """Whether a request comes from what a person did, not from a page that is left open."""
    if request.method not in ("GET", "HEAD"):
        return True
    if "HX-Request" in request.headers:
        return request.headers.get("HX-Trigger") not in POLLING
    return request.headers.get("Sec-Fetch-Mode", "navigate") == "navigate"


def _change_first(request: HttpRequest) -> HttpResponse | None:
    if _route(request) in WITHOUT_CHANGE:
        return None
    if is_api(request):
        if "Authorization" in request.headers:
            return None
        return JsonResponse({"detail": "Change the first password before anything else.", "errors": {}}, status=403)
    return HttpResponseRedirect(resolve_url("password-change"))


def _route(request: HttpRequest) -> str | None:
    return request.resolver_match.url_name if request.resolver_match is not None else None
