"""What only one process may do at a time, on whichever machine it runs: the others wait until it is done."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from django.db.backends.base.base import BaseDatabaseWrapper

LOCK_WITHIN_TRANSACTION = "SELECT pg_advisory_xact_lock(%s)"
TRY_LOCK_WITHIN_TRANSACTION = "SELECT pg_try_advisory_xact_lock(%s)"
UNLIMITED = (
    "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"
)


@contextmanager
def one_process(connection: BaseDatabaseWrapper, what: str, waits: Callable[[], object]) -> Iterator[None]:
    """Hold a lock by this name on the database; `waits` is called first where another process has it.

    PostgreSQL: an advisory lock. SQLite: a lock on a file beside the database. It is free again when its process ends,
    however that ends. A database in memory belongs to one process anyway.
    """
    name = str(connection.settings_dict["NAME"])
    if connection.vendor == "postgresql":
        with _advisory_lock(connection, what, waits):
            yield
    elif ":memory:" in name or "mode=memory" in name:
        yield
    else:
        with _file_lock(Path(f"{name}.{what}.lock"), waits):
            yield


@contextmanager
def _advisory_lock(connection: BaseDatabaseWrapper, what: str, waits: Callable[[], object]) -> Iterator[None]:
    """Hold a lock for as long as a transaction on a connection of its own is open.

    A session's lock would not outlive a statement behind a pgbouncer that shares connections by transaction.
    """
    own = connection.copy()
    own.settings_dict.get("OPTIONS", {}).pop("pool", None)
    key = _key(what)
    try:
        own.set_autocommit(False)
        with own.cursor() as cursor:
            cursor.execute(UNLIMITED)
            cursor.execute(TRY_LOCK_WITHIN_TRANSACTION, [key])
            if not cursor.fetchone()[0]:
                waits()
                cursor.execute(LOCK_WITHIN_TRANSACTION, [key])
        yield
    finally:
        own.close()


def _key(what: str) -> int:
    """Return the number of a lock: advisory locks have no names."""
    return int.from_bytes(sha256(f"canopy {what}".encode()).digest()[:8], signed=True)


@contextmanager
def _file_lock(path: Path, waits: Callable[[], object]) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waits()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
