"""Fencing: what a loop writes that runs in one process at a time is rolled back once another process runs it.

A process that was stopped for a while, or cut off, does not know that it has been replaced. What it does in a
transaction is confirmed at its end, by the database. Elsewhere nothing is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import transaction

P = ParamSpec("P")
R = TypeVar("R")


class Replaced(Exception):
    """Another process does this by now. Nothing was written."""


fence: ContextVar[Callable[[], None] | None] = ContextVar("fence", default=None)
"""What raises Replaced within a transaction. Tasks and threads inherit it from the task that sets it."""


def confirm() -> None:
    """Raise Replaced, at the end of a transaction, in a loop that another process runs by now."""
    if (check := fence.get()) is not None:
        check()


def fenced(function: Callable[P, R]) -> Callable[P, R]:
    """Return a function that runs in a transaction, and raises Replaced instead of committing it: see `confirm`."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with transaction.atomic():
            result = function(*args, **kwargs)
            confirm()
        return result

    return call
