"""Databases: a worker's connections to those that are configured, read-only unless the installation says otherwise.

Imported when a statement is first run: SQLAlchemy takes a third of a second, and web processes have no use for it.
"""

from __future__ import annotations

import base64
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, StatementError
from sqlalchemy.pool import QueuePool

from orchestration.processors.config_names import NAME
from orchestration.processors.data.connections import (
    VARIABLE,
    ConnectionMissing,
    DatabaseFailed,
    InvalidStatement,
    is_writable,
)
from orchestration.processors.secrets import keep_secret, mask

DRIVERS = {"postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg", "sqlite": "sqlite"}

PERMANENT = ("22", "23", "25", "42")
"""Classes of SQLSTATE that another attempt does not change: data, constraint, read-only transaction, syntax."""

CONNECTIONS = 20
"""Of one database, of one worker."""

LOOK_EVERY = 10_000
"""Steps of SQLite's machine between looks at the time."""

READING = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
    sqlite3.SQLITE_TRANSACTION,
}
"""What a statement may do that only reads: no PRAGMA and no ATTACH, which could make a way to write."""


def url_of(name: str) -> URL:
    """Return where a connection leads. Raises ConnectionMissing, without telling anything of a URL that is wrong."""
    given = os.environ.get(VARIABLE + name, "")
    if not NAME.fullmatch(name) or not given:
        raise ConnectionMissing(f"There is no connection {name}: {VARIABLE}{name} is not set on this worker.")
    try:
        url = make_url(given)
        driver = DRIVERS[url.drivername]
    except (ArgumentError, KeyError):
        raise ConnectionMissing(f"{VARIABLE}{name} is not a PostgreSQL or SQLite URL.") from None
    if url.password:
        keep_secret(str(url.password))
    return url.set(drivername=driver)


@lru_cache
def _engine(url: URL, *, writable: bool) -> Engine:
    """Return the pool of a database that all batches of this worker share."""
    if url.get_backend_name() == "sqlite":
        mode = "rw" if writable else "ro"
        path = f"file:{url.database}?mode={mode}"
        engine = create_engine(
            "sqlite://",
            creator=lambda: sqlite3.connect(
                path, uri=True, timeout=30, check_same_thread=False, isolation_level=None if writable else "DEFERRED"
            ),
            poolclass=QueuePool,  # of a URL without a path SQLAlchemy would think that it is one of memory
            pool_size=CONNECTIONS,
        )
        if writable:
            # Of its own accord sqlite3 begins only at the first change, when it may be too late to wait for others.
            event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
        else:
            event.listen(engine, "connect", _only_reads)
        return engine
    options = "" if writable else "-c default_transaction_read_only=on"
    # Always prepared: what is prepared is one statement, and not several.
    arguments = {"prepare_threshold": 0, "options": options, "connect_timeout": 10}
    return create_engine(url, pool_size=CONNECTIONS, pool_pre_ping=True, connect_args=arguments)


def _only_reads(connection: sqlite3.Connection, record: object) -> None:
    def decide(action: int, first: str | None, second: str | None, database: str | None, trigger: str | None) -> int:
        is_loading = action == sqlite3.SQLITE_FUNCTION and second == "load_extension"
        return sqlite3.SQLITE_OK if action in READING and not is_loading else sqlite3.SQLITE_DENY

    connection.set_authorizer(decide)


@contextmanager
def connected(name: str, seconds: float, is_canceled: Callable[[], bool]) -> Iterator[Connection]:
    """Hold a connection in a transaction that is committed at the end; a statement on it ends after `seconds`.

    Raises ConnectionMissing, and what SQLAlchemy raises.
    """
    url = url_of(name)
    with _engine(url, writable=is_writable(name)).begin() as connection:
        if url.get_backend_name() == "sqlite":
            raw: Any = connection.connection.driver_connection
            until = time.monotonic() + seconds
            raw.set_progress_handler(lambda: is_canceled() or time.monotonic() > until, LOOK_EVERY)
            try:
                yield connection
            finally:
                raw.set_progress_handler(None, 0)
            return
        connection.execute(text("SELECT set_config('statement_timeout', :limit, true)"), {"limit": f"{seconds:g}s"})
        over = threading.Event()
        threading.Thread(target=_cancel_when, args=(connection, is_canceled, over), daemon=True).start()
        try:
            yield connection
        finally:
            over.set()


def _cancel_when(connection: Connection, is_canceled: Callable[[], bool], over: threading.Event) -> None:
    raw: Any = connection.connection.driver_connection
    while not over.wait(0.5):
        if is_canceled():
            raw.cancel()
            return


def run_statement(
    name: str,
    statement: str,
    fields: Mapping[str, Any],
    *,
    rows_kept: int,
    seconds: float,
    is_canceled: Callable[[], bool],
) -> tuple[int, list[dict[str, Any]]]:
    """Run a statement over a connection; return how many rows it returned or changed, and the first of them.

    Raises ConnectionMissing, InvalidStatement, DatabaseFailed.
    """
    try:
        with connected(name, seconds, is_canceled) as connection:
            answer = connection.execute(text(statement), fields)
            rows, count = list[dict[str, Any]](), answer.rowcount
            if answer.returns_rows:
                count = 0
                for row in answer:
                    count += 1
                    if len(rows) < rows_kept:
                        rows.append({str(column): plain(value) for column, value in row._mapping.items()})
    except StatementError as error:
        raise database_failure(error) from None  # its own words hold the statement with all values
    return max(0, count), rows


def plain(value: Any) -> Any:
    """Return a value of a database as JSON can hold it."""
    if isinstance(value, datetime | date | time_of_day):
        return value.isoformat()
    if isinstance(value, Decimal | UUID | timedelta):
        return str(value)
    if isinstance(value, bytes | memoryview):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return {str(name): plain(each) for name, each in value.items()} if isinstance(value, dict) else value


def database_failure(error: StatementError) -> Exception:
    """Return why a statement failed, in words without its values: whether another attempt may help is its type."""
    reason = error.orig if error.orig is not None else error
    words = mask(" ".join(str(reason).split()))
    if not isinstance(error, DBAPIError):  # a field that the statement names is missing, or cannot be passed
        return InvalidStatement(words)
    state = getattr(reason, "sqlstate", None)
    if state is not None:
        return InvalidStatement(words) if state[:2] in PERMANENT else DatabaseFailed(words)
    is_busy = any(each in words for each in ("locked", "interrupted", "unable to open", "connection"))
    return DatabaseFailed(words) if is_busy else InvalidStatement(words)
