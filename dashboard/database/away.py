"""Which errors say that the database is away, rather than that a statement is wrong."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import Error, InterfaceError, OperationalError

from dashboard.database.threads import with_live_connections
from orchestration.contracts.stores import StoreAway
from orchestration.errors.texts import first_line

P = ParamSpec("P")
R = TypeVar("R")

CUT = "57014"
"""SQLSTATE of a statement that was canceled: by its time limit, or by an administrator."""

AWAY_STATES = (
    *("08", "53", "57P", "58"),  # connection, resources (too many connections, disk full), shutdown, system errors
    *("25006", "25P03", "25P04"),  # a server that only reads because another one took over, idle or long transactions
    *("40001", "40P01", "55P03", CUT),  # conflicts of transactions, locks that took too long
    *("3D000", "3F000", "42P01"),  # database, schema or table is missing: it is being restored, or not migrated yet
)
"""Beginnings of PostgreSQL's SQLSTATEs."""

SQLITE_AWAY = ("locked", "busy", "unable to open", "disk i/o", "is full", "readonly")
"""Parts of SQLite's messages."""


def is_away(error: BaseException) -> bool:
    """Whether the same statement may succeed later: the database cannot be reached, or refuses for now.

    Takes Django's errors, and those of psycopg and sqlite3.
    """
    driver = error.__cause__ or error if isinstance(error, Error) else error
    if state := _state(driver):
        return state.startswith(AWAY_STATES)
    module = type(driver).__module__.partition(".")[0]
    if module == "sqlite3":
        return any(part in str(driver).lower() for part in SQLITE_AWAY)
    if isinstance(error, Error):
        return isinstance(error, InterfaceError | OperationalError)
    names = {each.__name__ for each in type(driver).__mro__}
    return module in ("psycopg", "psycopg_pool") and bool(names & {"InterfaceError", "OperationalError"})


def is_cut(error: BaseException) -> bool:
    """Whether the database stopped a statement that took too long."""
    return _state(error.__cause__ or error if isinstance(error, Error) else error) == CUT


def _state(driver: BaseException) -> str:
    return str(getattr(driver, "sqlstate", None) or "")


def store_call(function: Callable[P, R]) -> Callable[P, R]:
    """Return a call of a store that raises StoreAway where the database is away; see `with_live_connections`."""
    live = with_live_connections(function)

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return live(*args, **kwargs)
        except Error as error:
            if is_away(error):
                raise StoreAway(first_line(error)) from error
            raise

    return call
