"""One snapshot of the database for all that a page shows: its numbers are of one moment and one revision."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import connection, transaction

P = ParamSpec("P")
T = TypeVar("T")


@contextmanager
def one_snapshot() -> Iterator[None]:
    """Have all queries within see the database as the first of them does; only to read. Within a transaction, nothing.

    Do not wait for anything but the database meanwhile: PostgreSQL keeps what the snapshot may still need.
    """
    if connection.in_atomic_block:
        yield
    elif connection.vendor == "postgresql":
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield
    else:
        with _reading(), transaction.atomic():
            yield


@contextmanager
def _reading() -> Iterator[None]:
    """Have a transaction of SQLite begin without its write lock, which the settings ask for."""
    mode, connection.transaction_mode = connection.transaction_mode, "DEFERRED"  # type: ignore[attr-defined]
    try:
        yield
    finally:
        connection.transaction_mode = mode  # type: ignore[attr-defined]


def reads_one_snapshot(view: Callable[P, T]) -> Callable[P, T]:
    """Have a view read one snapshot, its template included."""

    @wraps(view)
    def reading(*args: P.args, **kwargs: P.kwargs) -> T:
        with one_snapshot():
            return view(*args, **kwargs)

    return reading
