"""Threads of plain functions: each processor has its own, so that a function that hangs costs no other processor one.

A thread whose item has timed out cannot be interrupted. It is written off, another takes its place, and where too many
of a processor are, its next items fail with that reason instead of waiting for ever.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue
from typing import Any

from orchestration.errors.texts import place_of
from orchestration.processors.raised import Outcome
from orchestration.processors.worker_setup import PerLoop

log = logging.getLogger(__name__)

MAX_THREADS = 200
"""Threads at work in a process; each processor may have as many as its plans ask for, while there are any left."""

MAX_OF_ONE = 150
"""Threads at work of one processor."""

RESERVED = 8
"""Threads that each processor may have in any case."""

MAX_WRITTEN_OFF = 64
"""Threads of one processor that may be written off at a time."""


class FunctionsHang(Exception):
    """So many calls of a processor have timed out without coming back that no more are started."""


@dataclass(eq=False)
class _Thread:
    """A thread that makes one call after another."""

    name: str
    calls: SimpleQueue[Callable[[], None] | None] = field(default_factory=SimpleQueue)

    def start(self) -> None:
        # A daemon: a function that hangs must not keep the process from ending.
        self.thread = threading.Thread(target=self._serve, name=self.name, daemon=True)
        self.thread.start()

    def place(self) -> str:
        """Return file, line and function in which it is."""
        frame = sys._current_frames().get(self.thread.ident or 0)
        return place_of(traceback.extract_stack(frame)[-1]) if frame is not None else "an unknown place"

    def _serve(self) -> None:
        while (call := self.calls.get()) is not None:
            call()
            del call


@dataclass(eq=False)
class _Call:
    """A call in a thread, and whether nobody waits for it any more."""

    thread: _Thread
    done: asyncio.Future[Outcome]
    is_written_off: bool = False


@dataclass(eq=False)
class _Lane:
    """The threads of one processor: how many are at work or written off, the idle ones, and who waits for one."""

    name: str
    busy: int = 0
    written_off: int = 0
    idle: list[_Thread] = field(default_factory=list)
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    @property
    def hangs(self) -> bool:
        return self.written_off >= MAX_WRITTEN_OFF

    def thread(self) -> _Thread:
        if self.idle:
            return self.idle.pop()
        thread = _Thread(f"{self.name}-{next(self.numbers)}")
        thread.start()
        return thread


class ProcessorThreads:
    """The threads of all processors for the calls of one event loop. Everything but the calls happens in that loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lanes: dict[str, _Lane] = {}

    async def run(
        self, processor: str, function: Callable[[], Any], waiting: Callable[[], AbstractContextManager[None]]
    ) -> Any:
        """Call a function in a thread of its processor. `waiting` is entered while it waits for one.

        Raises FunctionsHang, and whatever the function raises, as an exception. On cancellation the call goes on.
        """
        lane = self._lanes.setdefault(processor, _Lane(processor))
        await self._take(lane, waiting)
        call = _Call(lane.thread(), self._loop.create_future())
        call.thread.calls.put(partial(self._make, lane, call, partial(copy_context().run, function)))
        try:
            return (await call.done).get()
        except asyncio.CancelledError:
            if not call.is_written_off:
                self._write_off(lane, call)
            raise

    def stuck(self) -> dict[str, int]:
        """Return the number of threads by processor that are written off, from any thread."""
        return {lane.name: lane.written_off for lane in list(self._lanes.values()) if lane.written_off}

    async def close(self) -> None:
        """End the threads that are idle, and those at work once they are done."""
        for lane in self._lanes.values():
            while lane.idle:
                lane.idle.pop().calls.put(None)

    async def _take(self, lane: _Lane, waiting: Callable[[], AbstractContextManager[None]]) -> None:
        """Wait until the processor may have another thread at work, and count it."""
        if lane.hangs:
            raise _hang(lane)
        if not lane.waiting and self._may_start(lane):
            lane.busy += 1
            return
        turn: asyncio.Future[None] = self._loop.create_future()
        lane.waiting.append(turn)
        try:
            with waiting():
                await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._free(lane)
            else:
                with suppress(ValueError):
                    lane.waiting.remove(turn)
            raise

    def _may_start(self, lane: _Lane) -> bool:
        at_work = sum(each.busy for each in self._lanes.values())
        return lane.busy < RESERVED or (lane.busy < MAX_OF_ONE and at_work < MAX_THREADS)

    def _make(self, lane: _Lane, call: _Call, function: Callable[[], Any]) -> None:
        """Make a call, in its thread."""
        outcome = Outcome.of(function)
        with suppress(RuntimeError):  # the loop has been closed meanwhile
            self._loop.call_soon_threadsafe(self._end, lane, call, outcome)

    def _end(self, lane: _Lane, call: _Call, outcome: Outcome) -> None:
        lane.idle.append(call.thread)
        if call.is_written_off:
            lane.written_off -= 1
            return
        call.is_written_off = True
        if not call.done.done():
            call.done.set_result(outcome)
        self._free(lane)

    def _write_off(self, lane: _Lane, call: _Call) -> None:
        call.is_written_off = True
        lane.written_off += 1
        log.warning("A call of %s goes on at %s though nobody waits for it.", lane.name, call.thread.place())
        if lane.hangs:
            while lane.waiting:
                turn = lane.waiting.popleft()
                if not turn.done():
                    turn.set_exception(_hang(lane))
        self._free(lane)

    def _free(self, lane: _Lane) -> None:
        """Count a thread as no longer at work, and let those go on that wait for one."""
        lane.busy -= 1
        for each in self._lanes.values():
            while each.waiting and self._may_start(each):
                turn = each.waiting.popleft()
                if not turn.done():
                    each.busy += 1
                    turn.set_result(None)


def _hang(lane: _Lane) -> FunctionsHang:
    return FunctionsHang(
        f"{lane.written_off} calls of {lane.name} have timed out and still run in their threads, so no more are "
        "started. Give what the function waits for a timeout of its own, and restart the worker."
    )


_of_loop = PerLoop(ProcessorThreads, ProcessorThreads.close)


def processor_threads() -> ProcessorThreads:
    """Return the threads for calls of the running event loop."""
    return _of_loop.get()


def all_processor_threads() -> list[ProcessorThreads]:
    """Return the threads for calls of all event loops."""
    return _of_loop.all()
