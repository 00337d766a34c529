"""Threads: rows are read and written in them, so that the event loop goes on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from channels.db import database_sync_to_async

P = ParamSpec("P")
R = TypeVar("R")


def in_thread(function: Callable[P, R]) -> Callable[P, Awaitable[R]]:
    """Return a function that reads or writes rows in a thread, several at a time."""
    wrapped: Callable[P, Awaitable[R]] = database_sync_to_async(function, thread_sensitive=False)
    return wrapped
