"""Processors that do whatever goes wrong in one, at random: loaded by the worker of `python -m tests.faults`."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from orchestration.processors.registry import processor

FOLDER = "CANOPY_CHAOS_FOLDER"
"""Environment: the folder in which each process that is ended leaves a line: when, and how."""

BETWEEN_EXITS = 90.0
"""Seconds from one end of a process to the next at least. Each costs whatever is at work some 12 s, until Temporal
notices that its worker is lost."""

COMPUTES = 0.005
"""Share of items that compute for 6 s. Two at a time, as with a share of 0.02, take more than half of the interpreter,
which everything in a process shares: no worker process can keep other batches from that."""

LEAKED = 2 * 1024 * 1024
MOST_MEMORY = 700 * 1024 * 1024
"""Bytes of a process from which one that leaks is killed, as the kernel would do it."""

PRINTED = "\x1b[31m\u202eprinted\x00\n" * 500
PLAN = {"chunk_size": 5, "window": 4, "item_concurrency": 5, "item_timeout": 4, "item_attempts": 2, "item_backoff": 0.2}
_leaks: list[bytearray] = []


class Wordless(Exception):
    """Has no text that can be read."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


ODD: tuple[Callable[[], BaseException], ...] = (
    Wordless,
    lambda: ValueError("\x1b[2J\u202egone\x00\ud800"),
    lambda: ExceptionGroup("several", [KeyError("a"), ExceptionGroup("more", [Wordless()])]),
    lambda: BaseExceptionGroup("all", [KeyboardInterrupt()]),
    lambda: SystemExit(3),
    KeyboardInterrupt,
    GeneratorExit,
    asyncio.CancelledError,
    StopIteration,
    StopAsyncIteration,
    TimeoutError,
    MemoryError,
    RecursionError,
)


def _end_the_process(how: Callable[[], None], note: str) -> None:
    """End the process, unless another item has done so a short while ago."""
    ends = Path(os.environ[FOLDER]) / "ends"
    if not ends.exists() or time.time() - ends.stat().st_mtime > BETWEEN_EXITS:
        with ends.open("a") as file:
            file.write(f"{time.time():.3f} {note}\n")
        how()


def _leak() -> None:
    _leaks.append(bytearray(os.urandom(1024) * (LEAKED // 1024)))
    if psutil.Process().memory_info().rss > MOST_MEMORY:
        _end_the_process(lambda: os.kill(os.getpid(), signal.SIGKILL), "killed for memory")


def _spin(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


def _happen() -> Any:
    """Do what plain and async functions have in common, and return the result."""
    chance = random.random()
    if chance < 0.12:
        raise random.choice(ODD)()
    if chance < 0.20:
        _leak()
    elif chance < 0.30:
        print(PRINTED, PRINTED.encode("utf-8", "replace"), file=random.choice((sys.stdout, sys.stderr)))
    elif chance < 0.34:
        return random.choice((object(), None, 10**6_000, "\x00\ud800", float("nan")))
    elif chance < 0.36:
        _end_the_process(lambda: os._exit(1), "os._exit")
    elif chance < 0.39:
        time.sleep(10)
    elif chance < 0.39 + COMPUTES:
        _spin(6)
    return "done"


async def _exit_later() -> None:
    sys.exit(4)


async def _ignore_cancellation() -> None:
    until = time.monotonic() + 8
    while time.monotonic() < until:
        try:
            await asyncio.sleep(8)
        except asyncio.CancelledError:
            continue


@processor(default_plan=PLAN)
async def chaos_async(item: str) -> str | float:
    """Do anything at random, in an event loop."""
    await asyncio.sleep(random.uniform(0, 0.4))
    chance = random.random()
    if chance < 0.03:
        await asyncio.Event().wait()
    elif chance < 0.05:
        await _ignore_cancellation()
    elif chance < 0.07:
        asyncio.get_running_loop().create_task(_exit_later())
    elif chance < 0.09:
        current = asyncio.current_task()
        assert current is not None
        current.cancel()
    result: str | float = _happen()
    return result


@processor(default_plan=PLAN)
def chaos_plain(item: str) -> str | float:
    """Do anything at random, in a thread."""
    time.sleep(random.uniform(0, 0.4))
    if random.random() < 0.02:
        time.sleep(60)
    result: str | float = _happen()
    return result


@processor(default_plan=PLAN)
def chaos_many(items: list[str]) -> list[str | float | Exception]:
    """Do anything at random, with several items at once."""
    return [KeyError(item) if random.random() < 0.1 else _happen() for item in items]


@processor(default_plan=PLAN)
async def tame_async(item: str) -> str:
    """Work as long as `chaos_async`, and do nothing else."""
    await asyncio.sleep(random.uniform(0, 0.4))
    return item


@processor(default_plan=PLAN)
def tame_plain(item: str) -> str:
    """Work as long as `chaos_plain`, and do nothing else."""
    time.sleep(random.uniform(0, 0.4))
    return item


@processor(default_plan=PLAN)
def tame_many(items: list[str]) -> list[str]:
    """Return what `chaos_many` returns where nothing happens."""
    return items


@processor(default_plan={"chunk_size": 5, "window": 2, "item_concurrency": 1, "item_timeout": 30})
async def steady_async(item: str) -> str:
    """Work for a while, in an event loop."""
    await asyncio.sleep(0.2)
    return item


@processor(default_plan={"chunk_size": 5, "window": 2, "item_concurrency": 1, "item_timeout": 30})
def steady_plain(item: str) -> str:
    """Work for a while, in a thread."""
    time.sleep(0.2)
    return item
