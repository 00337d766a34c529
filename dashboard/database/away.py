"""Which errors say that the database is away, rather than that a statement is wrong."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import Error, InterfaceError, InternalError, OperationalError

from dashboard.database.threads import with_live_connections
from orchestration.contracts.stores import StoreAway

P = ParamSpec("P")
R = TypeVar("R")

AWAY_STATES = ("08", "53", "57P", "25006", "40001", "40P01", "55P03")
"""Beginnings of PostgreSQL's SQLSTATEs: connection, resources, shutdown, a server that only reads because another one
took over, and conflicts of transactions."""

SQLITE_AWAY = ("locked", "busy", "unable to open", "disk i/o", "disk is full", "readonly")
"""Parts of SQLite's messages."""


def is_away(error: BaseException) -> bool:
    """Whether the same statement may succeed later: the database cannot be reached, or refuses for now."""
    if isinstance(error, InterfaceError):
        return True
    if not isinstance(error, OperationalError | InternalError):
        return False
    cause = error.__cause__
    if type(cause).__module__.startswith("sqlite3"):
        return any(part in str(error).lower() for part in SQLITE_AWAY)
    state = getattr(cause, "sqlstate", None)
    return isinstance(error, OperationalError) if state is None else str(state).startswith(AWAY_STATES)


def store_call(function: Callable[P, R]) -> Callable[P, R]:
    """Return a call of a store that raises StoreAway where the database is away; see `with_live_connections`."""
    live = with_live_connections(function)

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return live(*args, **kwargs)
        except Error as error:
            if is_away(error):
                raise StoreAway(str(error).strip().partition("\n")[0]) from error
            raise

    return call
