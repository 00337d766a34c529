"""Open activities of a worker process, noted in a folder, so that the process that replaces it can say they are lost.

Temporal alone would notice by their heartbeats, after their heartbeat timeout, and everything that was at work would
wait for that.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from orchestration.temporal.worker_loss import WORKER_LOST

log = logging.getLogger(__name__)

REPORT_WITHIN = 10.0
"""Seconds for the reports of one process; after that their heartbeat timeouts tell."""


class OpenActivities(Interceptor):
    """Keeps a file for each open activity that heartbeats. One process at a time has the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002  SDK's
        """Return an interceptor that notes the activity while it runs."""
        return _Noting(next, self._folder)

    async def report_lost(self, client: Client) -> None:
        """Report those that the process before has left open, as their heartbeats would show later."""
        left = [path for path in self._folder.iterdir() if path.is_file()]
        if not left:
            return
        log.warning("%s activities were lost with the last worker process.", len(left))
        with suppress(TimeoutError):
            async with asyncio.timeout(REPORT_WITHIN):
                await asyncio.gather(*(_report(client, path.read_bytes()) for path in left))
        for path in left:
            path.unlink(missing_ok=True)


class _Noting(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, folder: Path) -> None:  # noqa: A002  SDK's
        super().__init__(next)
        self._folder = folder

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002  SDK's
        """Execute an activity with a note of it."""
        info = activity.info()
        if info.is_local or info.heartbeat_timeout is None:
            return await super().execute_activity(input)
        note = self._folder / hashlib.sha256(info.task_token).hexdigest()[:32]
        with suppress(OSError):
            note.write_bytes(info.task_token)
        try:
            return await super().execute_activity(input)
        finally:
            with suppress(OSError):
                note.unlink(missing_ok=True)


async def _report(client: Client, token: bytes) -> None:
    lost = ApplicationError("The worker process has ended.", type=WORKER_LOST)
    try:
        await client.get_async_activity_handle(task_token=token).fail(lost)
    except RPCError as error:  # it has timed out or was canceled meanwhile
        log.info("An activity of the last worker process is not open any more: %s", error)
