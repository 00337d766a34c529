"""What is opened on first use and closed when the worker stops: setups of processors, and one object an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from orchestration.processors.raised import exception_of

Setup = Callable[[], AbstractAsyncContextManager[Any]]
"""Returns an async context manager, which is entered before the first item and exited when the worker stops."""


class _EnteredSetup:
    """An entered setup. One task both enters and exits it, as some context managers require."""

    def __init__(self, setup: Setup) -> None:
        self.resource: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._is_closing = asyncio.Event()
        self._task = asyncio.create_task(self._hold(setup))

    async def _hold(self, setup: Setup) -> None:
        try:
            async with setup() as resource:
                self.resource.set_result(resource)
                await self._is_closing.wait()
        except BaseException as error:
            if self.resource.done():
                raise
            self.resource.set_exception(exception_of(error))

    @property
    def has_failed(self) -> bool:
        """Whether entering it failed. The next item then enters it again."""
        return self.resource.done() and self.resource.exception() is not None

    async def close(self) -> None:
        """Exit the setup. Raises whatever that raises."""
        self._is_closing.set()
        await self._task


T = TypeVar("T")


class PerLoop(Generic[T]):
    """One object for each event loop, made on first use and closed when the worker stops."""

    def __init__(self, make: Callable[[], T], close: Callable[[T], Awaitable[None]]) -> None:
        self._make, self._close = make, close
        self._made: WeakKeyDictionary[asyncio.AbstractEventLoop, T] = WeakKeyDictionary()
        on_shutdown(self._close_own)

    def get(self) -> T:
        """Return the object of the running event loop."""
        loop = asyncio.get_running_loop()
        if loop not in self._made:
            self._made[loop] = self._make()
        return self._made[loop]

    def all(self) -> list[T]:
        """Return the objects of all event loops, from any thread."""
        return list(self._made.values())

    async def _close_own(self) -> None:
        if (found := self._made.pop(asyncio.get_running_loop(), None)) is not None:
            await self._close(found)


_shutdown_callbacks: list[Callable[[], Awaitable[None]]] = []
_setups_by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Setup, _EnteredSetup]] = WeakKeyDictionary()


async def resource_of(setup: Setup) -> Any:
    """Return the resource of a setup, entered on first use. Raises whatever the setup raises."""
    entered = _setups_by_loop.setdefault(asyncio.get_running_loop(), {})
    if setup not in entered or entered[setup].has_failed:
        entered[setup] = _EnteredSetup(setup)
    return await asyncio.shield(entered[setup].resource)


def on_shutdown(close: Callable[[], Awaitable[None]]) -> None:
    """Register a function that the worker calls when it stops, such as the close of a client."""
    _shutdown_callbacks.append(close)


async def exit_setups() -> None:
    """Exit all setups that were entered in this event loop. Raises whatever they raise."""
    entered = _setups_by_loop.pop(asyncio.get_running_loop(), {})
    await asyncio.gather(*(each.close() for each in entered.values()))


async def shutdown() -> None:
    """Exit all setups of this event loop, and call the functions registered with on_shutdown."""
    await exit_setups()
    for close in _shutdown_callbacks:
        await close()
