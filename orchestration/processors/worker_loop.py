"""Watchdog over the worker's own event loop, in which built-in processors run beside workflows and heartbeats.

Whatever blocks it holds up everything. It cannot be isolated any more, but is named: in the log, and at the item.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from orchestration.errors.texts import place_of

log = logging.getLogger(__name__)

BLOCKED_AFTER = 2.0
"""Seconds without an answer after which the loop counts as blocked."""

FRAMES = 8
"""Innermost frames that the log shows."""

_Reports = tuple[str, tuple[Callable[[str], None], ...]]
_at_work: dict[asyncio.Task[Any], _Reports] = {}
"""By task: the processor whose items it processes in the worker's loop, and what takes the items' status."""


@contextmanager
def at_work(processor: str, reports: tuple[Callable[[str], None], ...]) -> Iterator[None]:
    """Say of the running task which processor's items it processes, while the block runs."""
    task = asyncio.current_task()
    if task is None:
        yield
        return
    before = _at_work.get(task)
    _at_work[task] = (processor, reports)
    try:
        yield
    finally:
        if before is None:
            _at_work.pop(task, None)
        else:
            _at_work[task] = before


class LoopWatch:
    """Watches the running event loop from a thread, until it is stopped."""

    def __init__(self) -> None:
        self._loop, self._thread_id = asyncio.get_running_loop(), threading.get_ident()
        self._answered, self._stopped = threading.Event(), threading.Event()
        threading.Thread(target=self._watch, name="loop-watch", daemon=True).start()

    def stop(self) -> None:
        """End the watch."""
        self._stopped.set()

    def _watch(self) -> None:
        while not self._stopped.wait(BLOCKED_AFTER / 4):
            self._answered.clear()
            try:
                self._loop.call_soon_threadsafe(self._answered.set)
            except RuntimeError:  # it has been closed
                return
            if not self._answered.wait(BLOCKED_AFTER):
                self._blame()
                self._answered.wait()

    def _blame(self) -> None:
        task = asyncio.current_task(self._loop)
        frame = sys._current_frames().get(self._thread_id)
        if task is None or frame is None:
            return
        stack = traceback.extract_stack(frame)
        name, reports = _at_work.get(task, ("A task", ()))
        place = place_of(stack[-1])
        where = "".join(traceback.format_list(stack[-FRAMES:]))
        log.warning("%s blocks the worker's event loop at %s, and everything else in it:\n%s", name, place, where)
        for report in reports:
            report(f"blocks the worker's event loop at {place}")
