"""ItemWatch: metrics of the items of one processor, and what lines of the log say while one of them is at work."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import Token
from functools import lru_cache
from types import TracebackType
from typing import Any

from orchestration.processors.raised import RETRY_AFTER_LIMIT
from orchestration.telemetry import log_context, tracing
from orchestration.telemetry.worker_metrics import ItemMetrics

SHOWN_KEYS = 3
"""Keys of items that are processed together which a line names."""

WAIT_SHOWN = 5.0
"""Seconds: a longer wait between two attempts is said at the child."""

_metrics = lru_cache(maxsize=1_000)(ItemMetrics)


class ItemWatch:
    """Watches the items of a processor that come from one task queue."""

    def __init__(self, processor: str, queue: str) -> None:
        self._processor, self._metrics = processor, _metrics(processor, queue)

    def attempt(self, keys: Sequence[str], attempt: int) -> _Attempt:
        """Return a context for an attempt of items that are processed together, by their keys."""
        about = ", ".join(keys[:SHOWN_KEYS]) + (f" and {len(keys) - SHOWN_KEYS} more" if keys[SHOWN_KEYS:] else "")
        return _Attempt(
            self._metrics, len(keys), attempt, {"item": about, "item_attempt": attempt, "processor": self._processor}
        )

    def finished(self, seconds: float, *, is_completed: bool) -> None:
        """Count an item that has a result."""
        self._metrics.finished(seconds, is_completed=is_completed)


class _Attempt:
    """Counts what is at work, and binds what the log says; async, to stand beside an ItemClock."""

    def __init__(self, metrics: ItemMetrics, number: int, attempt: int, about: dict[str, Any]) -> None:
        self._metrics, self._number, self._attempt, self._about = metrics, number, attempt, about
        self._token: Token[Any]
        self._span = tracing.span(f"process {about['processor']}", **about)

    async def __aenter__(self) -> None:
        self._token = log_context.enter(self._about)
        self._span.__enter__()
        self._metrics.began(self._number, self._attempt)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        self._metrics.ended(self._number)
        self._span.__exit__(kind, error, stack)
        log_context.leave(self._token)


def waiting_text(seconds: float, asked: float, attempt: int, attempts: int) -> str:
    """Return what to say at a child while an item waits for an attempt; empty where that is soon.

    `asked` is what its error has asked for.
    """
    if seconds <= WAIT_SHOWN:
        return ""
    why = " (the most that an error may ask for)" if asked == seconds == RETRY_AFTER_LIMIT else ""
    return f"waiting {seconds:,.0f} s{why} before attempt {attempt} of {attempts}"
