"""Connections that lead through this process, so that it can cut them: nothing is refused, no answer comes any more."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import Future

from tests.support.stack import free_port

READ_AT_ONCE = 65_536


class Link:
    """The way from one process to the port of another. Once it is mended, what was under way goes on."""

    def __init__(self, target: int) -> None:
        self.port, self._target = free_port(), target
        self._open = asyncio.Event()
        self._open.set()

    async def serve(self) -> None:
        """Accept connections for as long as the loop runs."""
        await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    def set_open(self, is_open: bool) -> None:
        """Cut it, or mend it."""
        if is_open:
            self._open.set()
        else:
            self._open.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await self._open.wait()
            there = await asyncio.open_connection("127.0.0.1", self._target)
            await asyncio.gather(self._forward(reader, there[1]), self._forward(there[0], writer))
        writer.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while read := await reader.read(READ_AT_ONCE):
                await self._open.wait()
                writer.write(read)
                await writer.drain()
        with contextlib.suppress(OSError):
            writer.close()


async def _cancel_all() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for each in others:
        each.cancel()
    await asyncio.gather(*others, return_exceptions=True)


class Links:
    """All links of a deployment, served by a thread of their own. Used as a context."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._made: dict[tuple[str, str], Link] = {}

    def __enter__(self) -> Links:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(_cancel_all(), self._loop).result(timeout=60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def port(self, start: str, end: str, target: int) -> int:
        """Return the port by which one process reaches another's."""
        if (start, end) not in self._made:
            link = Link(target)
            served: Future[None] = asyncio.run_coroutine_threadsafe(link.serve(), self._loop)
            served.result(timeout=60)
            self._made[start, end] = link
        return self._made[start, end].port

    def set_open(self, name: str, is_open: bool) -> None:
        """Cut a process off from everything that it is linked to, or end that."""
        for ends, link in self._made.items():
            if name in ends:
                self._loop.call_soon_threadsafe(link.set_open, is_open)
