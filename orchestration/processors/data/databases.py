"""SQL on configured databases: pooled connections, read-only by default, with a time limit and cancellation.

Imported on first use: SQLAlchemy takes 0.3 s, and web processes never need it.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import quote

from sqlalchemy import Connection, CursorResult, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError, StatementError
from sqlalchemy.pool import QueuePool

from orchestration.processors.config_names import configured
from orchestration.processors.data.connections import (
    CONNECTION_PREFIX,
    ConnectionMissing,
    DatabaseFailed,
    InvalidStatement,
    RoleTooPowerful,
    connection_names,
    is_writable,
)
from orchestration.processors.data.database_sessions import guard_postgresql, guard_sqlite, refuse_side_effects
from orchestration.processors.data.json_values import as_json
from orchestration.processors.data.statements import check_reads, may_stream
from orchestration.processors.secrets import mask, register_secret

log = logging.getLogger(__name__)

DRIVERS = {"postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg", "sqlite": "sqlite"}

PERMANENT_SQLSTATES = ("22", "23", "25", "42")
"""SQLSTATE classes that a retry does not resolve: data, constraint, read-only transaction, syntax or access."""

POOL_SIZE = 20
"""Connections per database and worker."""

PROBES = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 2, "tcp_user_timeout": 10_000}
"""A host that vanished is noticed after about ten seconds: seconds, seconds, number, milliseconds."""

ROWS_PER_PORTION = 1_000
"""Rows that are fetched together. A cursor of the server keeps the rest there."""

STEPS_PER_CHECK = 10_000
"""Instructions of SQLite's virtual machine between two checks of time limit and cancellation."""


def connection_url(name: str) -> URL:
    """Return the URL of a connection. Raises ConnectionMissing, whose message contains nothing of an invalid URL."""
    value = configured(CONNECTION_PREFIX, name)
    if not value:
        raise ConnectionMissing(f"There is no connection {name}: {CONNECTION_PREFIX}{name} is not set on this worker.")
    try:
        url = make_url(value)
        driver = DRIVERS[url.drivername]
    except (ArgumentError, KeyError):
        raise ConnectionMissing(f"{CONNECTION_PREFIX}{name} is not a PostgreSQL or SQLite URL.") from None
    if url.password:
        register_secret(str(url.password))
    return url.set(drivername=driver)


@lru_cache
def pooled_engine(url: URL, *, writable: bool) -> Engine:
    """Return the engine of a database, whose pool all batches of this worker share."""
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(str(url.database), writable=writable)
    options = "" if writable else "-c default_transaction_read_only=on"
    # Always prepare: a prepared statement cannot consist of several.
    arguments = {"prepare_threshold": 0, "options": options, "connect_timeout": 10}
    engine = create_engine(
        url, pool_size=POOL_SIZE, pool_pre_ping=True, pool_reset_on_return=None, connect_args=arguments | PROBES
    )
    guard_postgresql(engine, writable=writable)
    return engine


def _sqlite_engine(path: str, *, writable: bool) -> Engine:
    address = f"file:{quote(path)}?mode={'rw' if writable else 'ro'}"
    isolation: Literal["DEFERRED"] | None = None if writable else "DEFERRED"
    engine = create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(
            address, uri=True, timeout=30, check_same_thread=False, isolation_level=isolation
        ),
        poolclass=QueuePool,  # not the default: SQLAlchemy takes a URL without a path for a database in memory
        pool_size=POOL_SIZE,
    )
    if writable:
        # sqlite3 begins a transaction only at the first write, where a lock upgrade can fail without waiting.
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    event.listen(engine, "connect", lambda connection, record: guard_sqlite(connection, writable=writable))
    return engine


@contextmanager
def transaction(name: str, seconds: float, is_canceled: Callable[[], bool]) -> Iterator[Connection]:
    """Open a transaction, committed on exit; a statement is interrupted after `seconds` or on cancellation.

    SQLite counts `seconds` from the start of the transaction, PostgreSQL from that of the statement.
    Raises ConnectionMissing, and what SQLAlchemy raises.
    """
    url = connection_url(name)
    with pooled_engine(url, writable=is_writable(name)).begin() as connection:
        if url.get_backend_name() == "sqlite":
            raw: Any = connection.connection.driver_connection
            deadline = time.monotonic() + seconds
            raw.set_progress_handler(lambda: is_canceled() or time.monotonic() > deadline, STEPS_PER_CHECK)
            try:
                yield connection
            finally:
                raw.set_progress_handler(None, 0)
            return
        connection.execute(text("SELECT set_config('statement_timeout', :limit, true)"), {"limit": f"{seconds:g}s"})
        is_done = threading.Event()
        threading.Thread(target=_cancel_on_request, args=(connection, is_canceled, is_done), daemon=True).start()
        try:
            yield connection
        finally:
            is_done.set()


def _cancel_on_request(connection: Connection, is_canceled: Callable[[], bool], is_done: threading.Event) -> None:
    raw: Any = connection.connection.driver_connection
    while not is_done.wait(0.5):
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
    """Run a statement; return the number of rows it returned or changed, and the first `rows_kept` of them as JSON.

    Raises ConnectionMissing, InvalidStatement, DatabaseFailed.
    """
    functions = frozenset[str]() if is_writable(name) else _functions_of(name, statement)
    try:
        with transaction(name, seconds, is_canceled) as connection:
            if connection.dialect.name == "postgresql":
                refuse_side_effects(connection, functions)
            if may_stream(statement, connection.dialect.name):
                connection = connection.execution_options(yield_per=ROWS_PER_PORTION)
            result = connection.execute(text(statement), fields)
            rows, count = list[dict[str, Any]](), result.rowcount
            if result.returns_rows:
                rows, count = _counted(result, rows_kept, time.monotonic() + seconds, is_canceled)
    except StatementError as error:
        raise database_failure(error) from None  # its message contains the statement with all values
    return max(0, count), rows


def _functions_of(name: str, statement: str) -> frozenset[str]:
    """Return the functions that a query calls. Raises ConnectionMissing, InvalidStatement for what is no query."""
    dialect = connection_url(name).get_backend_name()
    return check_reads(statement.replace("\\:", ":"), dialect)  # SQLAlchemy's escape of a colon


def examine_connections() -> None:
    """Connect to each configured database, and log what is wrong with its role or how it does not answer."""
    for name in connection_names():
        try:
            with pooled_engine(connection_url(name), writable=is_writable(name)).connect():
                pass
        except RoleTooPowerful as error:
            log.error("Connection %s is refused: %s", name, error)
        except ConnectionMissing as error:
            log.error("%s", error)
        except SQLAlchemyError as error:
            log.warning("Connection %s does not answer yet: %s", name, mask(str(error).partition("\n")[0]))


def _counted(
    result: CursorResult[Any], rows_kept: int, deadline: float, is_canceled: Callable[[], bool]
) -> tuple[list[dict[str, Any]], int]:
    """Return the first rows as JSON, and the number of all, of which a portion is held at a time.

    Raises DatabaseFailed after the deadline or on cancellation: the server counts the time of each portion alone.
    """
    rows, count = list[dict[str, Any]](), 0
    for portion in result.partitions(ROWS_PER_PORTION):
        count += len(portion)
        rows += [as_json(dict(row._mapping)) for row in portion[: max(0, rows_kept - len(rows))]]
        if is_canceled() or time.monotonic() > deadline:
            raise DatabaseFailed(f"The statement was stopped after {count:,} rows: its time limit is over.")
    return rows, count


def database_failure(error: StatementError) -> Exception:
    """Return InvalidStatement or DatabaseFailed for a failed statement, with a message without its values."""
    reason = error.orig if error.orig is not None else error
    message = mask(" ".join(str(reason).split()))
    if not isinstance(error, DBAPIError):  # a bound field is missing or has an unsupported type
        return InvalidStatement(message)
    state = getattr(reason, "sqlstate", None)
    if state is not None:
        return InvalidStatement(message) if state[:2] in PERMANENT_SQLSTATES else DatabaseFailed(message)
    is_busy = any(each in message for each in ("locked", "interrupted", "unable to open", "connection"))
    return DatabaseFailed(message) if is_busy else InvalidStatement(message)
