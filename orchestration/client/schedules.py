"""Temporal's schedules: creates, describes, changes and deletes those that launch batches.

Their times are computed by Temporal alone.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

from temporalio.client import Client, ScheduleDescription, ScheduleHandle, ScheduleUpdate, ScheduleUpdateInput
from temporalio.service import RPCError, RPCStatusCode

from orchestration.client.schedule_models import (
    ScheduleGone,
    ScheduleSettings,
    ScheduleSnapshot,
    Timing,
    TimingRefused,
    temporal_id,
    to_snapshot,
    to_temporal,
)
from orchestration.temporal.commands import commanded, require_answer
from orchestration.temporal.connection import RPC_TIMEOUT, unavailable

PREVIEW_PREFIX = "canopy-preview"
"""Prefix of the ids of temporary schedules, from which next times are previewed."""

CONCURRENT_DESCRIBES = 20

NAME_RESOLUTION = timedelta(seconds=1)
"""Resolution of the time that Temporal appends to the ids of the workflows that a schedule starts."""


class Schedules:
    """The schedules of this installation. Every call may raise TemporalUnavailable."""

    def __init__(self, client: Callable[[], Awaitable[Client]]) -> None:
        self._client = client

    async def next_times(self, timing: Timing) -> list[datetime]:
        """Return the next ten times, or as many as there are. Raises TimingRefused for times that never come.

        Creates a paused schedule, reads its times and deletes it, so that the preview equals the real times.
        """
        preview = f"{PREVIEW_PREFIX}-{secrets.token_hex(8)}"
        with unavailable():
            handle = await self._create(preview, ScheduleSettings(timing, paused=True))
        try:
            with unavailable():
                description = await handle.describe(rpc_timeout=RPC_TIMEOUT)
        finally:
            with suppress(RPCError):
                await asyncio.shield(handle.delete(rpc_timeout=RPC_TIMEOUT))
        if not description.info.next_action_times:
            raise TimingRefused(timing.field, "This time never comes: there is no such date.")
        return list(description.info.next_action_times)

    async def create(self, schedule_id: str, setting: ScheduleSettings) -> None:
        """Create a schedule. Raises TimingRefused."""
        await require_answer(await self._client())
        with commanded():
            await self._create(temporal_id(schedule_id), setting, schedule_id)

    async def update(self, schedule_id: str, setting: ScheduleSettings) -> None:
        """Change everything but whether the schedule is paused. Raises TimingRefused, ScheduleGone."""

        def change(given: ScheduleUpdateInput) -> ScheduleUpdate:
            changed = to_temporal(setting, schedule_id)
            changed.state.paused = given.description.schedule.state.paused
            return ScheduleUpdate(changed)

        with _refusing(setting.timing):
            await self._update(schedule_id, change)

    async def set_paused(self, schedule_id: str, paused: bool) -> None:
        """Pause or resume without changing the note. Raises ScheduleGone."""

        def change(given: ScheduleUpdateInput) -> ScheduleUpdate:
            given.description.schedule.state.paused = paused
            return ScheduleUpdate(given.description.schedule)

        await self._update(schedule_id, change)

    async def trigger(self, schedule_id: str) -> None:
        """Launch now, under the schedule's overlap policy. Raises ScheduleGone.

        Waits for the next second if this one has had a launch: Temporal appends the second to the workflow id, and
        silently drops a start whose id is taken.
        """
        handle = await self._handle(schedule_id)
        with unavailable(), _gone():
            await _next_second(await handle.describe(rpc_timeout=RPC_TIMEOUT))
        with commanded(), _gone():
            await handle.trigger(rpc_timeout=RPC_TIMEOUT)

    async def delete(self, schedule_id: str) -> None:
        """Delete a schedule; its open batches continue. Raises ScheduleGone."""
        handle = await self._handle(schedule_id)
        await require_answer(await self._client())
        with commanded(), _gone():
            await handle.delete(rpc_timeout=RPC_TIMEOUT)

    async def describe(self, schedule_id: str) -> ScheduleSnapshot:
        """Describe a schedule. Raises ScheduleGone."""
        handle = await self._handle(schedule_id)
        with unavailable(), _gone():
            return to_snapshot(await handle.describe(rpc_timeout=RPC_TIMEOUT))

    async def describe_all(self, schedule_ids: Sequence[str]) -> dict[str, ScheduleSnapshot]:
        """Describe schedules, by id, leaving out those that Temporal does not have."""
        found, slots = dict[str, ScheduleSnapshot](), asyncio.Semaphore(CONCURRENT_DESCRIBES)

        async def describe(schedule_id: str) -> None:
            async with slots:
                with suppress(ScheduleGone):
                    found[schedule_id] = await self.describe(schedule_id)

        await asyncio.gather(*(describe(each) for each in schedule_ids))
        return found

    async def _handle(self, schedule_id: str) -> ScheduleHandle:
        return (await self._client()).get_schedule_handle(temporal_id(schedule_id))

    async def _create(
        self, temporal_schedule_id: str, setting: ScheduleSettings, schedule_id: str = ""
    ) -> ScheduleHandle:
        client = await self._client()
        with _refusing(setting.timing):
            return await client.create_schedule(
                temporal_schedule_id, to_temporal(setting, schedule_id), rpc_timeout=RPC_TIMEOUT
            )

    async def _update(self, schedule_id: str, change: Callable[[ScheduleUpdateInput], ScheduleUpdate]) -> None:
        handle = await self._handle(schedule_id)
        await require_answer(await self._client())
        with commanded(), _gone():
            await handle.update(change, rpc_timeout=RPC_TIMEOUT)


async def _next_second(description: ScheduleDescription) -> None:
    """Wait until the second of the newest start is over by this machine's clock, a second at most."""
    starts = [action.scheduled_at for action in description.info.recent_actions]
    if starts:
        left = max(starts).replace(microsecond=0) + NAME_RESOLUTION - datetime.now(UTC)
        await asyncio.sleep(min(left, NAME_RESOLUTION).total_seconds())


@contextmanager
def _refusing(timing: Timing) -> Iterator[None]:
    """Raise TimingRefused, with Temporal's reason, where it rejects a schedule spec."""
    try:
        yield
    except RPCError as error:
        if error.status is not RPCStatusCode.INVALID_ARGUMENT:
            raise
        reason = error.message.removeprefix("Invalid schedule spec: ").removeprefix("invalid schedule spec: ")
        field = "time_zone" if "unknown time zone" in reason else timing.field
        raise TimingRefused(field, f"{reason[:1].upper()}{reason[1:]}.") from error


@contextmanager
def _gone() -> Iterator[None]:
    try:
        yield
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise ScheduleGone("Temporal does not know this schedule any more.") from error
        raise
