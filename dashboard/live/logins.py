"""Watches the logins of open websockets: each ends soon after its person has logged out or may do less.

All connections of a process share one look at the database.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db.models import Q
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from dashboard.accounts.permissions import OPERATORS, is_operator
from dashboard.database.threads import in_thread
from dashboard.server.outages import log_failure

log = logging.getLogger(__name__)

UNAUTHENTICATED = 4401
RIGHTS_CHANGED = 4403
"""Close codes: the browser goes to the login, or loads the page again."""


class Connection(Protocol):
    """A websocket whose login is watched."""

    async def end(self, code: int) -> None:
        """Close it."""


@dataclass(frozen=True)
class Login:
    """What a connection was opened with: the session, its person, and whether that was an operator."""

    session_key: str
    person: int
    was_operator: bool


_open = dict[Connection, Login]()
_ending = set[asyncio.Task[None]]()
_watching: asyncio.Task[None] | None = None


async def watch(connection: Connection, session_key: str, person: User, every: float) -> None:
    """Watch the login of a connection from now on, in looks that are `every` seconds apart."""
    global _watching
    _open[connection] = Login(session_key, person.pk, await in_thread(is_operator)(person))
    if _watching is None or _watching.done() or _watching.get_loop() is not asyncio.get_running_loop():
        _watching = asyncio.create_task(_watch(every))


def forget(connection: Connection) -> None:
    """Watch a connection no longer."""
    _open.pop(connection, None)


async def _watch(every: float) -> None:
    while _open:
        await asyncio.sleep(every)
        try:
            codes = await in_thread(_codes)(dict(_open))
        except Exception as error:
            log_failure(log, "The logins of open pages cannot be checked for now.", error=error)
            continue
        for connection, code in codes.items():
            forget(connection)
            ending = asyncio.create_task(connection.end(code))  # a browser that reads slowly delays no other
            _ending.add(ending)
            ending.add_done_callback(_ending.discard)


def _codes(logins: Mapping[Connection, Login]) -> dict[Connection, int]:
    """Return the close codes of connections whose login has ended or whose person may do less."""
    people = _people({login.session_key for login in logins.values()})
    operators = _operators(people.values())
    codes = dict[Connection, int]()
    for connection, login in logins.items():
        if people.get(login.session_key) != login.person:
            codes[connection] = UNAUTHENTICATED
        elif login.was_operator and login.person not in operators:
            codes[connection] = RIGHTS_CHANGED
    return codes


def _people(keys: Iterable[str]) -> dict[str, int]:
    """Return the active persons of sessions that are logged in, by session key."""
    rows = Session.objects.filter(session_key__in=keys, expire_date__gt=timezone.now())
    store = SessionStore()
    data = {key: store.decode(text) for key, text in rows.values_list("session_key", "session_data")}
    wanted = {each[SESSION_KEY] for each in data.values() if SESSION_KEY in each}
    active = {str(person.pk): person for person in User.objects.filter(pk__in=wanted, is_active=True)}
    return {
        key: person.pk
        for key, each in data.items()
        if (person := active.get(str(each.get(SESSION_KEY)))) is not None
        and _has_hash(person, str(each.get(HASH_SESSION_KEY, "")))
    }


def _operators(people: Iterable[int]) -> set[int]:
    may = Q(is_superuser=True) | Q(groups__name=OPERATORS)
    return set(User.objects.filter(may, pk__in=set(people)).values_list("pk", flat=True))


def _has_hash(person: User, given: str) -> bool:
    """Whether a session was made with the person's password of now, as Django itself asks at each request."""
    hashes = [person.get_session_auth_hash(), *person.get_session_auth_fallback_hash()]
    return any(constant_time_compare(given, each) for each in hashes)
