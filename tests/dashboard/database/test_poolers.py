"""PostgreSQL behind a real pgbouncer that shares one session of it by transaction."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
import pytest_django
from django.db import OperationalError
from django.db.utils import ConnectionHandler

from dashboard.database import watched_connection
from dashboard.database.away import is_cut
from dashboard.database.watched_connection import Limits, WatchedConnection, leads_to_pooler
from tests.support.servers import pgbouncer, postgres

LIMITS = """
    SELECT current_setting('statement_timeout'), current_setting('lock_timeout'),
           current_setting('idle_in_transaction_session_timeout')
"""


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with postgres(tmp_path_factory.mktemp("pooled")) as url:
        yield url


@pytest.fixture(scope="module")
def pooled(direct: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pgbouncer(direct, tmp_path_factory.mktemp("pgbouncer"), sessions=1) as url:
        yield url


@pytest.fixture
def database(
    pooled: str, monkeypatch: pytest.MonkeyPatch, django_db_blocker: pytest_django.DjangoDbBlocker
) -> Iterator[Any]:
    """Django's connection through the pooler, as in a server process with limits."""
    monkeypatch.setattr(WatchedConnection, "limits", Limits(statement=1))
    given = psycopg.conninfo.conninfo_to_dict(pooled)
    settings = {
        "ENGINE": "dashboard.database.postgresql",
        "NAME": given["dbname"],
        "USER": given["user"],
        "HOST": given["host"],
        "PORT": given["port"],
        "OPTIONS": {"pool": {"min_size": 1, "max_size": 2, "connection_class": WatchedConnection}},
    }
    found: Any = ConnectionHandler({"default": settings})["default"]
    with django_db_blocker.unblock():
        yield found
    found.close()
    found.close_pool()


@contextmanager
def atomic(database: Any) -> Iterator[None]:
    """Begin a transaction as Django does, and end it."""
    database.set_autocommit(False)
    try:
        yield
    finally:
        database.rollback()
        database.set_autocommit(True)


def rows(database: Any, query: str) -> list[tuple[Any, ...]]:
    with database.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())


def test_a_pooler_is_noticed(direct: str, pooled: str) -> None:
    for url, is_pooled in ((direct, False), (pooled, True)):
        with psycopg.connect(url) as plain, WatchedConnection.connect(url, autocommit=True) as connection:
            assert leads_to_pooler(plain) is connection.is_pooled is is_pooled


def test_limits_hold_in_a_transaction_and_are_not_left_to_others(database: Any, pooled: str) -> None:
    with atomic(database):
        with database.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        assert rows(database, LIMITS) == [("1s", "1s", "1min")]
    with psycopg.connect(pooled) as other:
        assert other.execute(LIMITS).fetchone() == ("0", "0", "0")


def test_a_statement_that_takes_too_long_is_cut_in_a_transaction_and_outside_of_one(
    database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched_connection, "OWN_CUT_AFTER", 0.1)
    began = time.monotonic()
    with pytest.raises(OperationalError) as outside:
        rows(database, "SELECT pg_sleep(600)")
    with pytest.raises(OperationalError) as within, atomic(database):
        rows(database, "SELECT pg_sleep(600)")
    assert is_cut(outside.value)
    assert is_cut(within.value)
    assert time.monotonic() - began < 60
    assert rows(database, "SELECT 1") == [(1,)]


def test_rows_are_read_in_parts_while_others_have_the_session(database: Any, pooled: str) -> None:
    database.ensure_connection()
    for cursor in (database.chunked_cursor(), database.chunked_cursor()):
        with cursor:
            cursor.execute("SELECT generate_series(1, 1000)")
            assert len(cursor.fetchmany(100)) == 100
            with psycopg.connect(pooled) as other:
                other.execute("SELECT 1")
            assert len(cursor.fetchall()) == 900
    with psycopg.connect(pooled) as other:
        assert other.execute("SELECT count(*) FROM pg_cursors WHERE is_holdable").fetchone() == (0,)


def test_a_transaction_reads_with_a_cursor_of_the_server(database: Any) -> None:
    with atomic(database), database.chunked_cursor() as cursor:
        cursor.execute("SELECT generate_series(1, 1000)")
        assert len(cursor.fetchmany(100)) == 100
        assert rows(database, "SELECT count(*) FROM pg_cursors") == [(1,)]
