"""Begun steps: a step that begins again after its worker was lost is noted, so that one that ends its worker is found.

As with items, one that was noted once runs with no other suspect of the process beside it, and has a limit.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from temporalio.exceptions import ApplicationError

from orchestration.activities.begun_notes import ENDED_WORKER, MAX_ENDS, ended_worker
from orchestration.contracts.chunks import BegunItems

Call = Callable[[BegunItems], Awaitable[list[int]]]


@asynccontextmanager
async def noted_step(
    batch_id: str, step: str, alone: asyncio.Lock, *, note: Call, forget: Callable[[BegunItems], Awaitable[None]]
) -> AsyncIterator[None]:
    """Note a step while the block runs it; `step` is the same for all attempts, and no other step's.

    Raises ApplicationError, not retried, once it has ended MAX_ENDS workers.
    """
    name = hashlib.sha256(step.encode()).hexdigest()[:32]
    begun = BegunItems(batch_id, name, secrets.token_hex(16), [0])
    ends = sum(await note(begun))
    if not ends:
        try:
            yield
        finally:
            await asyncio.shield(forget(begun))
        return
    await forget(begun)
    if ends >= MAX_ENDS:
        raise ApplicationError(ended_worker(ends).message, type=ENDED_WORKER, non_retryable=True)
    async with alone:
        await note(begun)
        try:
            yield
        finally:
            await asyncio.shield(forget(begun))
