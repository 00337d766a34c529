"""What is away is a 503 that says when to try again, in pages and in the API; what is wrong stays a 500."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import InterfaceError, OperationalError, ProgrammingError, connection
from django.test import Client
from temporalio.service import RPCError, RPCStatusCode

from dashboard.database import away
from dashboard.database.away import store_call
from orchestration.contracts.stores import StoreAway
from orchestration.temporal.connection import TemporalUnavailable, unavailable


def caused(error: Exception, cause: BaseException | None) -> Exception:
    error.__cause__ = cause
    return error


AWAY = [
    caused(OperationalError("connection refused"), psycopg.OperationalError("connection refused")),
    caused(OperationalError("shutting down"), psycopg.errors.AdminShutdown("shutting down")),
    caused(OperationalError("couldn't get a connection after 5 s"), None),
    caused(OperationalError("too many clients"), psycopg.errors.TooManyConnections("too many clients")),
    caused(OperationalError("database is locked"), sqlite3.OperationalError("database is locked")),
    caused(InterfaceError("connection already closed"), None),
]
WRONG = [
    caused(OperationalError("no such table: x"), sqlite3.OperationalError("no such table: x")),
    caused(ProgrammingError("syntax error"), psycopg.errors.SyntaxError("syntax error")),
    ValueError("no"),
]


@contextmanager
def failing(error: Exception) -> Iterator[None]:
    def fail(*given: Any) -> None:
        raise error

    with connection.execute_wrapper(fail):
        yield


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/batches/", "/api/v1/batches"])
@pytest.mark.parametrize(("errors", "status"), [(AWAY, 503), (WRONG, 500)], ids=["away", "wrong"])
def test_a_database_that_is_away_is_a_503(logged_in: Client, path: str, errors: list[Exception], status: int) -> None:
    logged_in.raise_request_exception = False
    for error in errors:
        with failing(error):
            answer = logged_in.get(path)
        assert answer.status_code == status, error
        assert answer["Content-Type"].startswith("application/json" if "api" in path else "text/html")
        assert answer.get("Retry-After") == ("5" if status == 503 else None)


@pytest.mark.django_db
def test_a_store_tells_a_database_that_is_away_from_a_statement_that_is_wrong() -> None:
    def fail(error: Exception) -> None:
        raise error

    for error in AWAY:
        with pytest.raises(StoreAway):
            store_call(fail)(error)
    for error in WRONG:
        with pytest.raises(type(error)):
            store_call(fail)(error)
    assert away.is_away(caused(OperationalError("x"), psycopg.errors.ReadOnlySqlTransaction("read-only")))


@pytest.mark.parametrize("status", [RPCStatusCode.UNKNOWN, RPCStatusCode.UNAVAILABLE, RPCStatusCode.INTERNAL])
def test_a_broken_connection_to_temporal_is_a_temporal_that_is_away(status: RPCStatusCode) -> None:
    with pytest.raises(TemporalUnavailable), unavailable():
        raise RPCError("h2 protocol error: transport error", status, b"")
    with pytest.raises(RPCError), unavailable():
        raise RPCError("no such workflow", RPCStatusCode.NOT_FOUND, b"")
