"""Drain: how a web process stops. From the first signal on /readyz says so; for CANOPY_DRAIN_DELAY all else goes on.

Then it takes no connections and leads nothing. Requests at work get the grace; websockets are closed with 1012 (service
restart), on which a page connects again at once. `orchestration.temporal.stopping` says when the process ends in any
case.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from types import FrameType
from typing import Any

from django.conf import settings
from uvicorn import Config, Server

from orchestration.temporal.stopping import Stopping, end_process

log = logging.getLogger(__name__)

LOOPS_WITHIN = 1.5
"""Seconds at most that the end waits for background loops; what they do is taken up by others."""


class _Draining:
    """What this process knows of its end."""

    stopping: Stopping | None = None


def is_draining() -> bool:
    """Whether this process has been asked to end: nobody should send it anything new."""
    return _Draining.stopping is not None and _Draining.stopping.has_begun


def take_signals(receive: Any) -> asyncio.Event:
    """Have uvicorn stop as described, and return what is set once it does. Called by the lifespan at its start.

    `receive` is the lifespan's, a method of uvicorn's. Under another server nothing is ever set.
    """
    begun, loop = asyncio.Event(), asyncio.get_running_loop()
    config = getattr(getattr(receive, "__self__", None), "config", None)
    uvicorns = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    is_main = threading.current_thread() is threading.main_thread()
    if not isinstance(config, Config) or not isinstance(uvicorns, Server) or not is_main:
        return begun
    if config.timeout_graceful_shutdown is None:
        config.timeout_graceful_shutdown = settings.CANOPY_GRACE_SECONDS
    delay = settings.CANOPY_DRAIN_DELAY

    def end(number: int, frame: FrameType | None) -> None:
        uvicorns.handle_exit(number, frame)
        loop.call_soon_threadsafe(begun.set)

    def begin(number: int, frame: FrameType | None) -> None:
        if delay:
            loop.call_soon_threadsafe(loop.call_later, delay, end, number, None)
        else:
            end(number, frame)

    _Draining.stopping = Stopping(begin, delay + config.timeout_graceful_shutdown)
    _Draining.stopping.take_signals()
    return begun


async def end_loops(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel background loops, and wait for their ends, not for ever."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=LOOPS_WITHIN)


def end_if_drained() -> None:
    """End the process with 0 where a signal asked for its end; uvicorn would raise the signal once more."""
    if is_draining():
        log.info("Stopped.")
        logging.shutdown()
        end_process()
