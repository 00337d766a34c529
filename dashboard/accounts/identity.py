"""Who sends a request, before Django has seen it: for limits alone, never for what somebody may do."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpRequest

from dashboard.accounts.api_tokens import holder_of
from dashboard.accounts.permissions import may_view
from dashboard.database.threads import in_thread
from dashboard.server.recently_used import RecentlyUsed
from orchestration.errors.texts import first_line

log = logging.getLogger(__name__)

REMEMBERED = 1_000
"""Sessions and tokens."""

REMEMBERED_FOR = 10.0
"""Seconds, after which somebody who has logged out counts as unknown."""

LONGEST = 200
"""Characters of a session's key or of a token; anything longer is neither."""


class Identities:
    """Knows whose session or token came with a request; asks the database once in a while for each."""

    def __init__(self) -> None:
        self._known = RecentlyUsed[str, tuple[float, str | None]](REMEMBERED)

    def __len__(self) -> int:
        """Return how many sessions and tokens are remembered."""
        return len(self._known)

    async def who_is(self, scope: Mapping[str, Any]) -> str | None:
        """Return a name for the person behind an ASGI connection, None for anybody unknown or while nobody can tell."""
        kind, given = _credential(scope)
        if not given:
            return None
        key = hashlib.sha256(f"{kind}:{given}".encode(errors="replace")).hexdigest()
        until, person = self._known.get(key, (0.0, None))
        if time.monotonic() > until:
            try:
                person = await in_thread(_person_of)(kind, given)
            except Exception as error:
                log.warning("Whose %s this is cannot be told: %s", kind, first_line(error))
                return None
            self._known[key] = (time.monotonic() + REMEMBERED_FOR, person)
        return person


def _credential(scope: Mapping[str, Any]) -> tuple[str, str]:
    """Return the kind and the text of what came with a request: a token before a session, as the API has it."""
    headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
    scheme, _, token = headers.get(b"authorization", "").partition(" ")
    if scheme.lower() == "bearer" and 0 < len(token.strip()) <= LONGEST:
        return "token", token.strip()
    try:
        cookies = SimpleCookie(headers.get(b"cookie", ""))
    except CookieError:
        return "session", ""
    found = cookies.get(settings.SESSION_COOKIE_NAME)
    return "session", found.value if found is not None and len(found.value) <= LONGEST else ""


def _person_of(kind: str, given: str) -> str | None:
    if kind == "token":
        return holder_of(given)
    request = HttpRequest()
    request.session = SessionStore(given)
    person = get_user(request)
    return f"person {person.pk}" if may_view(person) else None
