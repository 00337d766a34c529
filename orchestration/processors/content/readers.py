"""Processes that read content: few, reused, each with one piece of content at a time, and ended with what they read.

What a parser does with content that was made for it (minutes in one call, gigabytes, a crash) thus befalls the item
alone. A process has nothing of the worker's environment, and answers in JSON. Why not a library's pool:
docs/decisions/0019.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestration.processors.content.child import LARGEST_ANSWER, MEMORY, PREFIX
from orchestration.processors.worker_setup import PerLoop

PROCESSES = max(2, min(4, os.cpu_count() or 1))
"""Of one processor."""

CPU_SECONDS = 20
"""Of CPU time for one piece of content."""

CHILD = "orchestration.processors.content.child"
END_WITHIN = 5.0
"""Seconds for a process that does not answer any more to say how it ended."""

MEGABYTE = 1024 * 1024


class ContentTooLarge(Exception):
    """Reading the content takes more memory than it may."""


class ContentTooSlow(Exception):
    """Reading the content takes more CPU time than it may."""


class ReaderCrashed(Exception):
    """The content ended the process that read it."""


class UnreadableContent(Exception):
    """The parser cannot read the content; the message has its error."""


CONTENT_ERRORS = (ContentTooLarge, ContentTooSlow, ReaderCrashed, UnreadableContent)
"""What another attempt at the same content would meet again."""


@dataclass(eq=False)
class _Lane:
    """The processes of one processor: the idle ones, and as many turns as there may be at work."""

    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(PROCESSES))
    idle: list[_Reader] = field(default_factory=list)

    async def reader(self) -> _Reader:
        while self.idle:
            if (reader := self.idle.pop()).is_alive:
                return reader
        return await _Reader.start()


class ContentReaders:
    """The processes that read content for the calls of one event loop."""

    def __init__(self) -> None:
        self._lanes: dict[str, _Lane] = {}
        self._ending: set[asyncio.Task[None]] = set()

    async def read(
        self,
        processor: str,
        function: str,
        content: bytes,
        waiting: Callable[[], AbstractContextManager[None]],
        **arguments: Any,
    ) -> Any:
        """Call a function, such as "package.module:name", in a process, and return its result as it is in JSON.

        Its arguments are the content, and what JSON can hold. `waiting` is entered while all processes are at work.

        Raises one of CONTENT_ERRORS. On cancellation the process is killed.
        """
        lane = self._lanes.setdefault(processor, _Lane())
        with waiting() if lane.turns.locked() else nullcontext():
            await lane.turns.acquire()
        try:
            answer = await self._ask(lane, function, content, arguments)
        finally:
            lane.turns.release()
        return _result(answer)

    async def _ask(self, lane: _Lane, function: str, content: bytes, arguments: dict[str, Any]) -> dict[str, Any]:
        reader = await lane.reader()
        may_go_on = False
        try:
            answer = await reader.ask(
                {"function": function, "arguments": arguments, "cpu_seconds": CPU_SECONDS}, content
            )
            may_go_on = not answer["is_last"]
        finally:
            if may_go_on:
                lane.idle.append(reader)
            else:
                ending = asyncio.create_task(reader.end())
                self._ending.add(ending)
                ending.add_done_callback(self._ending.discard)
        return answer

    async def close(self) -> None:
        """End the idle processes, and wait for those that are ending."""
        idle = [reader for lane in self._lanes.values() for reader in lane.idle]
        self._lanes.clear()
        await asyncio.gather(*(each.end() for each in idle), *self._ending)


class _Reader:
    """A process that reads one piece of content after another."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @classmethod
    async def start(cls) -> _Reader:
        """Start a process. It knows where modules lie, and nothing else of the worker's environment."""
        environment = {"PYTHONPATH": os.pathsep.join(each or str(Path.cwd()) for each in sys.path), "LANG": "C.UTF-8"}
        command = [sys.executable, "-P", "-m", CHILD, str(os.getpid())]
        return cls(await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, env=environment))

    @property
    def is_alive(self) -> bool:
        return self._process.returncode is None

    async def ask(self, request: dict[str, Any], content: bytes) -> dict[str, Any]:
        """Return the answer to a request. Raises ContentTooLarge, ContentTooSlow, ReaderCrashed."""
        head = json.dumps(request).encode()
        try:
            return await self._exchange([PREFIX.pack(len(head), len(content)), head, content])
        except (asyncio.IncompleteReadError, OSError, ValueError):
            raise await self._ended() from None
        except asyncio.CancelledError as error:
            error.add_note("Reading its content was stopped.")
            raise

    async def _exchange(self, parts: list[bytes]) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.writelines(parts)
        await stdin.drain()
        size, _ = PREFIX.unpack(await stdout.readexactly(PREFIX.size))
        if size > LARGEST_ANSWER:
            raise ValueError(size)
        answer: dict[str, Any] = json.loads(await stdout.readexactly(size))
        return answer

    async def _ended(self) -> Exception:
        """Return what the end of the process says."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), END_WITHIN)
        code = self._process.returncode
        if code == -signal.SIGXCPU:
            return ContentTooSlow(f"Reading the content took more than {CPU_SECONDS} s of CPU time.")
        if code == -signal.SIGKILL:
            return ContentTooLarge("The process that read the content was killed, as for lack of memory.")
        with suppress(ValueError, TypeError):
            return ReaderCrashed(f"The content ended the process that read it: {signal.Signals(-int(code or 0)).name}.")
        return ReaderCrashed(f"The content ended the process that read it: exit code {code}.")

    async def end(self) -> None:
        """Kill the process, and wait for its end."""
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()


def _result(answer: dict[str, Any]) -> Any:
    if answer.get("is_too_large"):
        raise ContentTooLarge(f"Reading the content takes more than {MEMORY // MEGABYTE} MB of memory.")
    if "error" in answer:
        raise UnreadableContent(str(answer["error"]))
    return answer["result"]


_of_loop = PerLoop(ContentReaders, ContentReaders.close)


def content_readers() -> ContentReaders:
    """Return the processes for calls of the running event loop."""
    return _of_loop.get()
