"""Setups: what a processor needs to be made once a worker, such as a connection pool. Made when it is first needed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any
from weakref import WeakKeyDictionary

Setup = Callable[[], AbstractAsyncContextManager[Any]]
"""An async context manager, entered before the first item and left when the worker stops."""


class _Made:
    """What one setup has made. A task of its own enters and leaves it, as some of them demand."""

    def __init__(self, setup: Setup) -> None:
        self.resource: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._over = asyncio.Event()
        self._task = asyncio.create_task(self._own(setup))

    async def _own(self, setup: Setup) -> None:
        try:
            async with setup() as resource:
                self.resource.set_result(resource)
                await self._over.wait()
        except Exception as error:
            if self.resource.done():
                raise
            self.resource.set_exception(error)

    @property
    def has_failed(self) -> bool:
        """Whether it could not be made: the next item tries again."""
        return self.resource.done() and self.resource.exception() is not None

    async def close(self) -> None:
        """Leave it. Raises whatever that raises."""
        self._over.set()
        await self._task


_shutdowns: list[Callable[[], Awaitable[None]]] = []
_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Setup, _Made]] = WeakKeyDictionary()


async def resource_of(setup: Setup) -> Any:
    """Return what a setup has made in this process. Raises whatever it raises."""
    made = _loops.setdefault(asyncio.get_running_loop(), {})
    if setup not in made or made[setup].has_failed:
        made[setup] = _Made(setup)
    return await asyncio.shield(made[setup].resource)


def on_shutdown(close: Callable[[], Awaitable[None]]) -> None:
    """Have something closed when the worker stops, such as a connection pool."""
    _shutdowns.append(close)


async def shutdown() -> None:
    """Leave everything that was set up in this event loop, and close what processors opened."""
    made = _loops.pop(asyncio.get_running_loop(), {})
    await asyncio.gather(*(each.close() for each in made.values()))
    for close in _shutdowns:
        await close()
