"""Threads: rows are read and written in them, so that the event loop goes on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from channels.db import database_sync_to_async
from django.db import close_old_connections, connection

P = ParamSpec("P")
R = TypeVar("R")


def in_thread(function: Callable[P, R]) -> Callable[P, Awaitable[R]]:
    """Return a function that reads or writes rows in a thread, several at a time."""
    wrapped: Callable[P, Awaitable[R]] = database_sync_to_async(function, thread_sensitive=False)
    return wrapped


def _in_thread(function: Callable[P, R]) -> Callable[P, R]:
    """Drop connections that have died before and after a call: worker threads see no request end."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        _drop_old_connections()
        try:
            return function(*args, **kwargs)
        finally:
            _drop_old_connections()

    return call


def _drop_old_connections() -> None:
    if not connection.in_atomic_block:
        close_old_connections()
