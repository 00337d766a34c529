"""Setups of processors: resources that a worker opens once, on first use, such as connection pools."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any
from weakref import WeakKeyDictionary

Setup = Callable[[], AbstractAsyncContextManager[Any]]
"""An async context manager, entered before the first item and left when the worker stops."""


class _Entered:
    """One setup that was entered. The same task enters and leaves it, as some context managers require."""

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
        """Whether entering has failed: the next item tries again."""
        return self.resource.done() and self.resource.exception() is not None

    async def close(self) -> None:
        """Leave the setup. Raises whatever that raises."""
        self._over.set()
        await self._task


_shutdowns: list[Callable[[], Awaitable[None]]] = []
_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Setup, _Entered]] = WeakKeyDictionary()


async def resource_of(setup: Setup) -> Any:
    """Return the resource of a setup, entered on first use. Raises whatever the setup raises."""
    made = _loops.setdefault(asyncio.get_running_loop(), {})
    if setup not in made or made[setup].has_failed:
        made[setup] = _Entered(setup)
    return await asyncio.shield(made[setup].resource)


def on_shutdown(close: Callable[[], Awaitable[None]]) -> None:
    """Register a function that the worker calls when it stops, such as the close of a client."""
    _shutdowns.append(close)


async def shutdown() -> None:
    """Leave all setups of this event loop, and call the functions given to on_shutdown."""
    made = _loops.pop(asyncio.get_running_loop(), {})
    await asyncio.gather(*(each.close() for each in made.values()))
    for close in _shutdowns:
        await close()
