"""What a worker process needs to be ready: Temporal, its own polling, and the store of items."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import Worker

from orchestration.telemetry.checks import WITHIN, Check, Failed


class WorkerHealth:
    """The checks of a worker process."""

    def __init__(self, ping_store: Callable[[], None]) -> None:
        """Take a function that raises where the store is away; it is called in a thread of its own."""
        self._client: Client | None = None
        self._workers: Sequence[Worker] = ()
        self._ping_store, self._thread = ping_store, ThreadPoolExecutor(1, thread_name_prefix="check-store")
        self.checks = [
            Check("temporal", self._temporal, "Can't reach Temporal."),
            Check("polling", self._polling, "No task queue is polled."),
            Check("store", self._store, "Can't reach the store of items."),
        ]

    def have(self, client: Client, workers: Sequence[Worker]) -> None:
        """Take the client, once it has connected, and the workers that poll from now on."""
        self._client, self._workers = client, workers

    async def _temporal(self) -> None:
        if self._client is None:
            raise Failed("Can't reach Temporal: this worker has not connected to it yet.")
        client = self._workers[0].client if self._workers else self._client  # another one where certificates changed
        try:
            serves = await client.service_client.check_health(timeout=timedelta(seconds=WITHIN))
        except RPCError as error:
            raise Failed("Can't reach Temporal.") from error
        if not serves:
            raise Failed("Temporal says that it does not serve.")

    async def _polling(self) -> Mapping[str, Any]:
        if not self._workers or not all(each.is_running and not each.is_shutdown for each in self._workers):
            raise Failed("No task queue is polled: the worker is starting, or stopping.")
        return {"queues": sorted({each.task_queue for each in self._workers})}

    async def _store(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._ping_store)
