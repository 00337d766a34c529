"""BegunNotes: what a pass over a chunk begins is noted, where a worker may have been lost with the chunk before.

An item that ends its process is known by its notes without a result. One that was noted once is a suspect: from then on
it runs with no other suspect of the process beside it, under a note of its own, so that it is counted for itself alone.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager

from orchestration.contracts.chunks import BegunItems, ChunkInput, ItemWork
from orchestration.contracts.status import Failure

MAX_ENDS = 3
"""Workers that an item may end, in one run of its child, before it has failed."""

AHEAD = 50
"""Items that share a note until one of them is a suspect: quick ones need few writes."""

ENDED_WORKER = "EndedWorker"

Store = Callable[[BegunItems], object]


def has_ended_too_many(item: ItemWork) -> bool:
    """Whether an item is not to be run again."""
    return item.ends >= MAX_ENDS


def ended_worker(ends: int) -> Failure:
    """Return the failure of an item that has ended its worker so often."""
    return Failure(ENDED_WORKER, f"It ended its worker {ends} times: the process died or was killed while it ran.")


def take_together(items: deque[ItemWork], most: int) -> list[ItemWork]:
    """Take the items of one call; a suspect is alone in it."""
    group = [items.popleft()]
    while items and len(group) < most and not (group[0].ends or items[0].ends):
        group.append(items.popleft())
    return group


class BegunNotes:
    """Notes of one pass over a chunk. `call` runs a store's function in a thread, `alone` is held by one suspect."""

    def __init__(
        self,
        chunk: ChunkInput,
        run_id: str,
        call: Callable[[Store, BegunItems], Awaitable[object]],
        alone: asyncio.Lock,
        *,
        note: Store,
        forget: Store,
    ) -> None:
        self._chunk, self._run_id, self._token = chunk, run_id, secrets.token_hex(16)
        self._call, self._alone = call, alone
        self._note, self._forget = note, forget
        self._open = set[int]()
        self._noting = asyncio.Lock()

    @asynccontextmanager
    async def running(
        self, items: Sequence[ItemWork], ahead: Iterable[ItemWork], *, written: Callable[[], Awaitable[object]]
    ) -> AsyncIterator[None]:
        """Note items, and some of those that come next, before the block runs them.

        A suspect waits for its turn, which ends once what the block put is `written`.
        """
        if any(item.ends for item in items):
            async with self._alone:
                await self._begin(items)
                yield
                await written()
            return
        async with self._noting:  # what another coroutine is noting for this one is written first
            if not self._open.issuperset(item.index for item in items):
                following = [item for item, _ in zip(ahead, range(AHEAD - len(items)), strict=False) if not item.ends]
                await self._begin([*items, *following])
        yield

    def finished(self, index: int) -> None:
        """Record that an item has its result."""
        self._open.discard(index)

    async def forget(self) -> None:
        """Take the notes of items without a result back: they were interrupted, and their worker lives."""
        if self._open:
            left, self._open = sorted(self._open), set()
            await self._call(self._forget, self._of(left))

    async def _begin(self, items: Iterable[ItemWork]) -> None:
        indices = [item.index for item in items]
        self._open.update(indices)
        await self._call(self._note, self._of(indices))

    def _of(self, indices: list[int]) -> BegunItems:
        return BegunItems(self._chunk.batch_id, self._run_id, self._token, indices)
