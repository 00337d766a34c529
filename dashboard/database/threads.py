"""Database access from threads: off the event loop, and without stale connections."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from channels.db import database_sync_to_async
from django.db import close_old_connections, connection

P = ParamSpec("P")
R = TypeVar("R")


def in_thread(function: Callable[P, R]) -> Callable[P, Awaitable[R]]:
    """Return an async function that runs a database function in a thread pool, several at a time.

    Outside of a request nothing else gives a connection back: one that was lost would fail in its thread for ever.
    """
    wrapped: Callable[P, Awaitable[R]] = database_sync_to_async(function, thread_sensitive=False)
    return wrapped


def with_live_connections(function: Callable[P, R]) -> Callable[P, R]:
    """Close stale connections before and after a call: Django does it per request, which a worker thread never sees."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        drop_old_connections()
        try:
            return function(*args, **kwargs)
        finally:
            drop_old_connections()

    return call


def drop_old_connections() -> None:
    """Give the thread's connection back to the pool, or close it where it is stale. Not within a transaction."""
    if not connection.in_atomic_block:
        close_old_connections()
