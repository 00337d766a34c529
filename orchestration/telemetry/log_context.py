"""What the work at hand is about: fields that every line of the log has which is written meanwhile.

They follow tasks and threads as context variables do, so that a processor's own lines have them, too. Known fields are
in FIELDS; a line names them in this order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Any

import structlog

FIELDS = (
    *("batch", "node", "run", "attempt", "item", "item_attempt", "processor", "queue", "activity", "delivery"),
    *("request", "method", "route", "user", "trace"),
)

_fields: ContextVar[Mapping[str, Any]] = ContextVar("canopy_log_fields", default={})  # noqa: B039  never changed
_sources = list[Callable[[], Mapping[str, Any]]]()


def bind(**fields: Any) -> None:
    """Add fields for the rest of the running task."""
    _fields.set({**_fields.get(), **fields})


@contextmanager
def bound(**fields: Any) -> Iterator[None]:
    """Add fields while the block runs."""
    token = enter(fields)
    try:
        yield
    finally:
        leave(token)


@contextmanager
def shared(about: Mapping[str, Any]) -> Iterator[None]:
    """Do the same with fields that somebody else may add to meanwhile, in any task or thread."""
    token = _fields.set(about)
    try:
        yield
    finally:
        _fields.reset(token)


def enter(fields: Mapping[str, Any]) -> Token[Mapping[str, Any]]:
    """Add fields until `leave` takes them away again, in the same task."""
    return _fields.set({**_fields.get(), **fields})


def leave(token: Token[Mapping[str, Any]]) -> None:
    """Have the fields as they were before."""
    _fields.reset(token)


def add_source(source: Callable[[], Mapping[str, Any]]) -> None:
    """Have every line ask a function for more fields, such as the trace that is open."""
    if source not in _sources:
        _sources.append(source)


def fields() -> dict[str, Any]:
    """Return the fields of the work at hand, with those that a processor has bound by structlog itself."""
    found = {**structlog.contextvars.get_contextvars(), **_fields.get()}
    for source in _sources:
        found.update(source())
    return {name: value for name, value in found.items() if value not in (None, "")}
