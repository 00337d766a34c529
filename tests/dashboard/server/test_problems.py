"""What is away is a 503 that says when to try again, in pages and in the API; what is wrong stays a 500."""

from __future__ import annotations

import errno
import json
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from typing import Any

import psycopg
import psycopg_pool
import pytest
import redis.exceptions
from asgiref.sync import async_to_sync
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.db import IntegrityError, InterfaceError, InternalError, OperationalError, ProgrammingError, connection
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from temporalio.service import RPCError, RPCStatusCode

from dashboard.database import away
from dashboard.database.away import store_call
from dashboard.server.problems import retry_later
from dashboard.views.error_pages import bad_request
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
    caused(OperationalError("the SSL connection has been closed"), psycopg.OperationalError("SSL SYSCALL error: EOF")),
    caused(
        OperationalError("failed to resolve host"), psycopg.OperationalError("[Errno -2] Name or service not known")
    ),
    caused(OperationalError("disk is full"), psycopg.errors.DiskFull("could not extend file")),
    caused(OperationalError("could not read"), psycopg.errors.IoError("could not read block")),
    caused(OperationalError("starting up"), psycopg.errors.CannotConnectNow("the database system is starting up")),
    caused(OperationalError("took too long"), psycopg.errors.QueryCanceled("statement timeout")),
    caused(OperationalError("lock timeout"), psycopg.errors.LockNotAvailable("lock timeout")),
    caused(OperationalError("deadlock"), psycopg.errors.DeadlockDetected("deadlock detected")),
    caused(
        InternalError("read-only"), psycopg.errors.ReadOnlySqlTransaction("cannot execute UPDATE in a read-only one")
    ),
    caused(InternalError("idle"), psycopg.errors.IdleInTransactionSessionTimeout("idle in transaction")),
    caused(ProgrammingError("no table"), psycopg.errors.UndefinedTable("relation does not exist")),
    caused(OperationalError("full"), sqlite3.OperationalError("database or disk is full")),
    caused(OperationalError("read-only"), sqlite3.OperationalError("attempt to write a readonly database")),
    caused(InterfaceError("connection already closed"), None),
]
OTHERS = [
    psycopg.OperationalError("server closed the connection unexpectedly"),
    psycopg_pool.PoolTimeout("couldn't get a connection"),
    StoreAway("503"),
    TemporalUnavailable("away"),
    RPCError("", RPCStatusCode.CANCELLED, b""),
    RPCError("transport error", RPCStatusCode.UNKNOWN, b""),
    RPCError("h2 protocol error: http2 error", RPCStatusCode.INTERNAL, b""),
    RPCError("dns error: failed to lookup address", RPCStatusCode.UNAVAILABLE, b""),
    RPCError("namespace rate limit exceeded", RPCStatusCode.RESOURCE_EXHAUSTED, b""),
    redis.exceptions.ReadOnlyError("You can't write against a read only replica."),
    redis.exceptions.BusyLoadingError("Redis is loading the dataset in memory"),
    redis.exceptions.TimeoutError("Timeout reading from socket"),
    TimeoutError(),
    ConnectionResetError(errno.ECONNRESET, "reset"),
    socket.gaierror(-2, "Name or service not known"),
    OSError(errno.EHOSTUNREACH, "No route to host"),
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.ESTALE, "Stale file handle"),
    caused(RuntimeError("wrapped"), psycopg.OperationalError("gone")),
    ExceptionGroup("several", [ValueError("no"), RPCError("", RPCStatusCode.UNAVAILABLE, b"")]),
]
"""What views and the threads that they wait for raise besides errors of Django's database."""

WRONG = [
    caused(OperationalError("no such table: x"), sqlite3.OperationalError("no such table: x")),
    caused(ProgrammingError("syntax error"), psycopg.errors.SyntaxError("syntax error")),
    caused(ProgrammingError("no column"), psycopg.errors.UndefinedColumn("column does not exist")),
    caused(IntegrityError("twice"), psycopg.errors.UniqueViolation("duplicate key")),
    RPCError("no such workflow", RPCStatusCode.NOT_FOUND, b""),
    FileNotFoundError(errno.ENOENT, "No such file"),
    ExceptionGroup("several", [ValueError("no")]),
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
@pytest.mark.parametrize(("errors", "status"), [(AWAY + OTHERS, 503), (WRONG, 500)], ids=["away", "wrong"])
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


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (caused(OperationalError("cut"), psycopg.errors.QueryCanceled("statement timeout")), "took too long"),
        (OSError(errno.ENOSPC, "No space left on device"), "cannot write to its disk"),
        (caused(OperationalError("gone"), psycopg.OperationalError("gone")), "reach the database"),
        (TemporalUnavailable("away"), "reach Temporal"),
    ],
)
def test_what_is_not_away_but_too_slow_or_full_says_so(logged_in: Client, error: Exception, reason: str) -> None:
    logged_in.raise_request_exception = False
    for path in ("/batches/", "/api/v1/batches"):
        with failing(error):
            assert reason in unescape(logged_in.get(path).content.decode())
    with failing(error):
        part = logged_in.get("/batches/?q=x", headers={"HX-Request": "true"}).content.decode()
    assert reason in unescape(part)
    assert '<a class="button small" href="/batches/?q=x">Retry</a>' in part
    assert "<html" not in part


def test_a_session_that_cannot_be_saved_for_an_outage_is_a_503(rf: RequestFactory) -> None:
    """Django makes a bad request of it, whatever the reason, and names that in the context alone."""

    def interrupted(reason: Exception) -> Exception:
        try:
            try:
                raise reason
            except Exception:
                raise UpdateError  # noqa: B904  as Django's session does
        except UpdateError:
            try:
                raise SessionInterrupted("deleted before the request completed")
            except SessionInterrupted as error:
                return error

    read_only = caused(InternalError("read-only"), psycopg.errors.ReadOnlySqlTransaction("read-only"))
    answer = bad_request(rf.get("/api/v1/batches"), interrupted(read_only))
    assert (answer.status_code, "reach the database" in answer.content.decode()) == (503, True)
    assert bad_request(rf.get("/api/v1/batches"), interrupted(KeyError("session"))).status_code == 400


@pytest.mark.parametrize("is_async", [False, True])
def test_every_503_says_when_to_try_again(rf: RequestFactory, is_async: bool) -> None:
    async def answer_later(request: HttpRequest) -> HttpResponse:
        return answer(request)

    def answer(request: HttpRequest) -> HttpResponse:
        return HttpResponse(status=int(request.GET["status"]), headers=json.loads(request.GET.get("headers", "{}")))

    given = [("503", "{}", "5"), ("503", '{"Retry-After": "60"}', "60"), ("200", "{}", None)]
    for status, headers, expected in given:
        request = rf.get("/", {"status": status, "headers": headers})
        made = async_to_sync(retry_later(answer_later))(request) if is_async else retry_later(answer)(request)
        assert made.headers.get("Retry-After") == expected


@pytest.mark.parametrize("status", [RPCStatusCode.UNKNOWN, RPCStatusCode.UNAVAILABLE, RPCStatusCode.INTERNAL])
def test_a_broken_connection_to_temporal_is_a_temporal_that_is_away(status: RPCStatusCode) -> None:
    with pytest.raises(TemporalUnavailable), unavailable():
        raise RPCError("h2 protocol error: transport error", status, b"")
    with pytest.raises(RPCError), unavailable():
        raise RPCError("no such workflow", RPCStatusCode.NOT_FOUND, b"")
