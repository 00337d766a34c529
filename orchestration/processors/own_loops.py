"""Event loops of async processors: each processor has its own, in a thread, with a watchdog.

A function that blocks its event loop, where it should await, would hold up everything else in the same loop: other
batches, heartbeats, results. So it blocks a loop of its own processor. The watchdog says where, sets that loop aside,
and gives the processor another one.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

from orchestration.errors.texts import place_of
from orchestration.processors.raised import Outcome
from orchestration.processors.threads import FunctionsHang
from orchestration.processors.worker_setup import PerLoop, exit_setups

log = logging.getLogger(__name__)

BLOCKED_AFTER = 2.0
"""Seconds without an answer after which a loop counts as blocked."""

CHECK_PERIOD = 0.5

CANCEL_WITHIN = 10.0
"""Seconds that a canceled function may take to clean up before nobody waits for it any more."""

MAX_SET_ASIDE = 32
"""Blocked loops of one processor, each with its thread."""

EXIT_WITHIN = 5.0
BLOCKS = "blocks its event loop"
"""What the status of an item says that blocks its loop, before the place in its code."""


class _Call:
    """A call in a loop. `reports` take the status of its items; `blocked_by` says what kept its loop, once it has."""

    def __init__(self, work: Callable[[], Awaitable[Any]], source: str, reports: list[Callable[[str], None]]) -> None:
        self.work, self.source, self.reports, self.blocked_by = work, source, reports, ""
        self.here = asyncio.get_running_loop()
        self.done: asyncio.Future[Outcome] = self.here.create_future()
        self.home: _Loop | None = None
        self.is_begun = False
        self.task: asyncio.Task[Outcome | None] | None = None
        self._lock = threading.Lock()

    def give_to(self, home: _Loop) -> bool:
        """Have a loop make the call, unless another has begun it. Returns whether it will."""
        with self._lock:
            if self.is_begun:
                return False
            self.home = home
        home.loop.call_soon_threadsafe(self._start, home)
        return True

    def cancel(self) -> None:
        """Cancel the call, in its loop."""
        if self.task is not None:
            self.task.cancel()

    def _start(self, home: _Loop) -> None:
        if self.home is home:
            self.task = home.loop.create_task(self._run(home))
            self.task.add_done_callback(partial(self._end, home))

    async def _run(self, home: _Loop) -> Outcome | None:
        """Make the call, unless it has moved to another loop since its task was made."""
        with self._lock:
            if self.home is not home:
                return None
            self.is_begun = True
        try:
            return Outcome(await self.work())
        except BaseException as error:  # even SystemExit: it would end the loop
            return Outcome(error=error)

    def _end(self, home: _Loop, task: asyncio.Task[Outcome | None]) -> None:
        if self.home is not home:
            return
        outcome = Outcome(error=asyncio.CancelledError()) if task.cancelled() else task.result()
        with suppress(RuntimeError):  # the caller's loop has been closed meanwhile
            self.here.call_soon_threadsafe(self._set, outcome)

    def _set(self, outcome: Outcome | None) -> None:
        if self.home is not None:
            self.home.remove(self)
        if not self.done.done() and outcome is not None:
            self.done.set_result(outcome)


class _Loop:
    """An event loop in a thread of its own. All but `loop` is used by the loop of the callers alone."""

    def __init__(self, processor: str) -> None:
        self.processor = processor
        self.loop = asyncio.new_event_loop()
        self.calls: set[_Call] = set()
        self.is_set_aside = False
        self._is_ending, self._asked_at = False, 0.0
        self._thread = threading.Thread(target=self._serve, name=f"{processor}-loop", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        while not self._is_ending:
            try:
                self.loop.run_forever()
            except BaseException:  # a task that the function has left behind
                log.exception("A task of %s ended its event loop, which goes on.", self.processor)
        self.loop.close()

    def remove(self, call: _Call) -> None:
        """Forget a call that has ended or moved; one set aside ends with its last."""
        self.calls.discard(call)
        if self.is_set_aside and not self.calls:
            self.end()

    def end(self) -> None:
        """End the loop once it can."""
        self._is_ending = True
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self.loop.stop)

    async def exit_setups(self) -> None:
        """Exit the setups that were entered in this loop, unless it is blocked."""
        exited = asyncio.run_coroutine_threadsafe(exit_setups(), self.loop)
        try:
            await asyncio.wait_for(asyncio.wrap_future(exited), EXIT_WITHIN)
        except Exception:
            log.exception("The setup of %s did not exit.", self.processor)

    def is_blocked(self) -> bool:
        """Ask the loop for a sign of life, and return whether it has been silent for too long."""
        if not self._asked_at:
            self._asked_at = time.monotonic()
            self.loop.call_soon_threadsafe(self._answer)
        return time.monotonic() - self._asked_at > BLOCKED_AFTER and asyncio.current_task(self.loop) is not None

    def _answer(self) -> None:
        self._asked_at = 0.0

    def blame(self) -> str:
        """Tell the calls of a blocked loop what blocks it, and return the place."""
        task, place = asyncio.current_task(self.loop), self._place()
        is_known = any(call.task is task for call in self.calls)  # a task that an item has started is nobody's
        for call in self.calls:
            is_it = call.task is task or len(self.calls) == 1
            who = "Another item" if is_known else "An item"
            text = f"It blocked its event loop at {place}: an async function has to await, or be a plain function."
            call.blocked_by = text if is_it else f"{who} of its processor blocked their event loop at {place}."
            for report in call.reports if is_it else ():
                report(f"{BLOCKS} at {place}")
        return place

    def _place(self) -> str:
        """Return file, line and function of the innermost frame in the processor's file, else of the innermost."""
        frame = sys._current_frames().get(self._thread.ident or 0)
        stack = traceback.extract_stack(frame)[::-1] if frame is not None else []
        sources = {call.source for call in self.calls}
        found = next((each for each in stack if each.filename in sources), stack[0] if stack else None)
        return place_of(found) if found else "an unknown place"


class ProcessorLoops:
    """The event loops of all processors for the calls of one loop, and the watchdog over them."""

    def __init__(self) -> None:
        self._current: dict[str, _Loop] = {}
        self._set_aside: list[_Loop] = []
        self._watchdog: asyncio.Task[None] | None = None

    async def run(
        self, processor: str, source: str, work: Callable[[], Awaitable[Any]], reports: list[Callable[[str], None]]
    ) -> Any:
        """Await `work()` in a loop of its processor. `reports` take what is to be said of the items in it.

        `source` is the processor's file.

        Raises FunctionsHang, and whatever the work raises, as an exception. On cancellation the work is canceled; where
        a blocked loop has kept it from an end, the CancelledError has a note that says so.
        """
        call = _Call(work, source, reports)
        self._give(call, self._loop_of(processor))
        if self._watchdog is None or self._watchdog.done():
            self._watchdog = asyncio.create_task(self._watch())
        try:
            return (await asyncio.shield(call.done)).get()
        except asyncio.CancelledError as error:
            await self._cancel(call)
            if call.blocked_by:
                error.add_note(call.blocked_by)
            raise

    def _loop_of(self, processor: str) -> _Loop:
        self._set_aside = [each for each in self._set_aside if each.calls]
        if sum(each.processor == processor for each in self._set_aside) >= MAX_SET_ASIDE:
            raise FunctionsHang(
                f"{MAX_SET_ASIDE} event loops of {processor} are blocked, so no more items are started: it waits "
                "without await. Make it a plain function, and restart the worker."
            )
        if processor not in self._current:
            self._current[processor] = _Loop(processor)
        return self._current[processor]

    def _give(self, call: _Call, home: _Loop) -> None:
        before = call.home
        home.calls.add(call)
        if not call.give_to(home):
            home.calls.discard(call)
        elif before is not None:
            before.remove(call)

    async def _cancel(self, call: _Call) -> None:
        """Cancel a call and wait for its end, unless its loop is blocked."""
        home = call.home
        assert home is not None
        with suppress(RuntimeError):
            home.loop.call_soon_threadsafe(call.cancel)
        until = time.monotonic() + CANCEL_WITHIN
        while not call.done.done() and not home.is_set_aside and time.monotonic() < until:
            await asyncio.wait({call.done}, timeout=CHECK_PERIOD)

    async def _watch(self) -> None:
        """Look after the loops while any has calls."""
        while any(each.calls for each in self._current.values()):
            for name, loop in list(self._current.items()):
                if loop.calls and loop.is_blocked():
                    self._replace(name, loop)
            await asyncio.sleep(CHECK_PERIOD)

    def _replace(self, processor: str, loop: _Loop) -> None:
        """Set a blocked loop aside; another one makes the calls that it has not begun."""
        log.warning("%s blocks its event loop at %s. It gets another one.", processor, loop.blame())
        loop.is_set_aside = True
        self._set_aside.append(loop)
        del self._current[processor]
        for call in [each for each in loop.calls if not each.is_begun]:
            call.blocked_by = ""
            try:
                self._give(call, self._loop_of(processor))
            except FunctionsHang as error:
                call.done.set_result(Outcome(error=error))

    def stuck(self) -> dict[str, int]:
        """Return the number of blocked loops by processor, from any thread."""
        return Counter(each.processor for each in list(self._set_aside) if each.calls)

    async def close(self) -> None:
        """Exit the setups of the processors, then end their loops."""
        if self._watchdog is not None:
            self._watchdog.cancel()
        await asyncio.gather(*(each.exit_setups() for each in self._current.values()))
        for loop in self._current.values():
            loop.is_set_aside = True
            if not loop.calls:
                loop.end()


_of_loop = PerLoop(ProcessorLoops, ProcessorLoops.close)


def processor_loops() -> ProcessorLoops:
    """Return the event loops for calls of the running event loop."""
    return _of_loop.get()


def all_processor_loops() -> list[ProcessorLoops]:
    """Return the event loops for calls of all loops."""
    return _of_loop.all()
