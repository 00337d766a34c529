"""Content is read in processes, which end with what they read, and take nothing else with them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import psutil
import pytest

from orchestration.processors.content import readers
from orchestration.processors.content.child import WORN
from orchestration.processors.content.readers import (
    CHILD,
    PROCESSES,
    ContentReaders,
    ContentTooLarge,
    ContentTooSlow,
    ReaderCrashed,
    UnreadableContent,
)
from tests.support.waiting import wait_until

STARTED = 1.5
"""Seconds of processor time after which a process that spins has long been started, and reads."""

HOSTILE = "tests.orchestration.processors.content.hostile"
SCRIPT = f"""
import asyncio
from contextlib import nullcontext
from orchestration.processors.content.readers import ContentReaders
asyncio.run(ContentReaders().read("x", "{HOSTILE}:spin", b"", nullcontext))
"""


@pytest.fixture
async def processes() -> AsyncIterator[ContentReaders]:
    made = ContentReaders()
    yield made
    await made.close()


async def read(processes: ContentReaders, name: str, content: bytes = b"", **arguments: Any) -> Any:
    return await processes.read("test", f"{HOSTILE}:{name}", content, nullcontext, **arguments)


def at_work(parent: int) -> list[psutil.Process]:
    """Return the living processes that read content for a process."""
    try:
        children = psutil.Process(parent).children()
    except psutil.NoSuchProcess:
        return []
    return [each for each in children if each.status() != psutil.STATUS_ZOMBIE and CHILD in " ".join(each.cmdline())]


async def test_one_process_reads_one_after_another_and_knows_no_secret(
    processes: ContentReaders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANOPY_SECRET_CRM", "hunter2")
    memory = b"x" * (WORN + 1)  # of a worker that is large itself
    first = await read(processes, "read", "über".encode(), kept=3)
    second = await read(processes, "read", b"x" * 5_000_000)
    assert (first["content"], first["arguments"]) == ("über", {"kept": 3})
    assert first["pid"] == second["pid"] != os.getpid()
    assert second["size"] == 5_000_000
    assert len(memory) > WORN
    assert "hunter2" not in str(first["environment"])


@pytest.mark.parametrize(
    ("name", "error", "reason"),
    [
        ("spin", ContentTooSlow, "more than 1 s of CPU time"),
        ("swell", ContentTooLarge, "more than 512 MB of memory"),
        ("crash", ReaderCrashed, "SIGSEGV"),
        ("leave", ReaderCrashed, "exit code 3"),
        ("fail", UnreadableContent, "ValueError: no such tag"),
        ("chatter", UnreadableContent, "larger than 1 MB"),
    ],
)
async def test_what_befalls_a_process_is_the_error_of_its_content_alone(
    processes: ContentReaders, monkeypatch: pytest.MonkeyPatch, name: str, error: type[Exception], reason: str
) -> None:
    monkeypatch.setattr(readers, "CPU_SECONDS", 1)
    others = [asyncio.create_task(read(processes, "read", b"other")) for _ in range(3)]
    with pytest.raises(error, match=reason):
        await read(processes, name)
    assert [each["content"] for each in await asyncio.gather(*others)] == ["other"] * 3
    assert (await read(processes, "read", b"next"))["content"] == "next"


async def test_a_process_is_killed_when_nobody_waits_for_it_any_more(processes: ContentReaders) -> None:
    before = at_work(os.getpid())
    reading = asyncio.create_task(read(processes, "spin"))

    def begun() -> list[psutil.Process]:
        return [each for each in at_work(os.getpid()) if each not in before and each.cpu_times().user > STARTED]

    (spinning,) = await asyncio.to_thread(wait_until, begun, "it reads")
    reading.cancel()
    with pytest.raises(asyncio.CancelledError) as canceled:
        await reading
    assert canceled.value.__notes__ == ["Reading its content was stopped."]
    await asyncio.to_thread(wait_until, lambda: spinning not in at_work(os.getpid()), "it is gone")
    assert (await read(processes, "read", b"next"))["content"] == "next"


async def test_few_processes_are_at_work_and_who_waits_for_one_says_so(processes: ContentReaders) -> None:
    waits = list[float]()

    @contextmanager
    def waiting() -> Iterator[None]:
        waits.append(time.monotonic())
        yield

    answers = await asyncio.gather(
        *(processes.read("test", f"{HOSTILE}:read", b"", waiting) for _ in range(PROCESSES + 3))
    )
    assert len({each["pid"] for each in answers}) <= PROCESSES
    assert len(waits) == 3


def test_a_process_ends_with_the_worker_that_started_it() -> None:
    root = Path(readers.__file__).parents[3]
    worker = subprocess.Popen([sys.executable, "-c", SCRIPT], cwd=root)
    (spinning,) = wait_until(lambda: at_work(worker.pid), "it reads")
    worker.send_signal(signal.SIGKILL)
    worker.wait(60)
    wait_until(lambda: not spinning.is_running() or spinning.status() == psutil.STATUS_ZOMBIE, "it is gone, too")
