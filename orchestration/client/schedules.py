"""Schedules: what the dashboard may ask of Temporal's own schedules. Which times there are is Temporal's arithmetic."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleDescription,
    ScheduleHandle,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleState,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError, RPCStatusCode

from orchestration.client.cron import cron_of
from orchestration.contracts.dashboard_activities import ScheduledLaunchInput
from orchestration.contracts.names import CHILD_TASK_QUEUE
from orchestration.temporal.connection import RPC_TIMEOUT, unavailable
from orchestration.workflows.scheduled_launch import ScheduledLaunchWorkflow

PREVIEW = "canopy-preview"
"""Start of the ids of schedules that exist only while their times are asked for."""

ASKED_AT_ONCE = 20
MIN_INTERVAL = timedelta(seconds=1)
MIN_CATCHUP = timedelta(seconds=10)
"""What Temporal makes of anything shorter."""

NAMED_BY = timedelta(seconds=1)
"""How exact the time is that Temporal puts in the id of what a schedule starts."""

DEFAULT_CATCHUP = timedelta(days=365)
"""Temporal's, where a schedule says nothing."""


class Overlap(StrEnum):
    """What happens at a time at which the schedule's last batch is still open."""

    SKIP = "skip"
    BUFFER_ONE = "buffer_one"
    BUFFER_ALL = "buffer_all"
    CANCEL_OTHER = "cancel_other"
    TERMINATE_OTHER = "terminate_other"
    ALLOW_ALL = "allow_all"


class TimingRefused(Exception):
    """Temporal does not take these times, or they never come: `field` of Timing, and why, for a person."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field, self.reason = field, reason


class ScheduleGone(Exception):
    """Temporal has no such schedule (any more)."""


@dataclass(frozen=True)
class Timing:
    """When: a cron expression (5 to 7 fields, or @daily and the like) in a time zone, or an interval."""

    cron: str = ""
    every: timedelta | None = None
    time_zone: str = "UTC"

    @property
    def field(self) -> str:
        """The field that says when."""
        return "interval" if self.every else "cron"


@dataclass(frozen=True)
class ScheduleSettings:
    """All of a schedule that Temporal holds and a person may set."""

    timing: Timing
    overlap: Overlap = Overlap.SKIP
    catchup: timedelta = timedelta(hours=1)
    paused: bool = False
    note: str = ""


@dataclass(frozen=True)
class ScheduleSnapshot:
    """A schedule as Temporal tells it.

    `timing` is None where it was changed outside Canopy into more than one cron expression or interval. `running`
    counts the launches whose batch is open, `skipped` and `missed` what overlap policy and catch-up window let go.
    """

    timing: Timing | None
    setting: ScheduleSettings
    next_times: Sequence[datetime]
    running: int
    launched: int
    skipped: int
    missed: int

    @property
    def local_times(self) -> Sequence[datetime]:
        """The next times in the schedule's own time zone."""
        zone = ZoneInfo(self.setting.timing.time_zone)
        return [at.astimezone(zone) for at in self.next_times]


class Schedules:
    """Makes, reads, steers and deletes schedules that launch batches."""

    def __init__(self, client: Callable[[], Awaitable[Client]]) -> None:
        self._client = client

    async def next_times(self, timing: Timing) -> list[datetime]:
        """Return the next ten times, or as many as there are. Raises TimingRefused for times that never come.

        Temporal is asked with a paused schedule that is deleted again, so that a preview cannot differ from what comes.
        """
        preview = f"{PREVIEW}-{secrets.token_hex(8)}"
        handle = await self._create(preview, ScheduleSettings(timing, paused=True))
        try:
            with unavailable():
                seen = await handle.describe(rpc_timeout=RPC_TIMEOUT)
        finally:
            with suppress(RPCError):
                await asyncio.shield(handle.delete(rpc_timeout=RPC_TIMEOUT))
        if not seen.info.next_action_times:
            raise TimingRefused(timing.field, "This time never comes: there is no such date.")
        return list(seen.info.next_action_times)

    async def create(self, schedule_id: str, setting: ScheduleSettings) -> None:
        """Make a schedule. Raises TimingRefused."""
        await self._create(temporal_id(schedule_id), setting, schedule_id)

    async def update(self, schedule_id: str, setting: ScheduleSettings) -> None:
        """Change all of a schedule but whether it is paused. Raises TimingRefused, ScheduleGone."""

        def change(given: ScheduleUpdateInput) -> ScheduleUpdate:
            changed = _schedule(setting, schedule_id)
            changed.state.paused = given.description.schedule.state.paused
            return ScheduleUpdate(changed)

        with _refusing(setting.timing):
            await self._update(schedule_id, change)

    async def set_paused(self, schedule_id: str, paused: bool) -> None:
        """Pause or resume, and leave the note as it is. Raises ScheduleGone."""

        def change(given: ScheduleUpdateInput) -> ScheduleUpdate:
            given.description.schedule.state.paused = paused
            return ScheduleUpdate(given.description.schedule)

        await self._update(schedule_id, change)

    async def trigger(self, schedule_id: str) -> None:
        """Launch now, under the schedule's overlap policy, if need be in the next second. Raises ScheduleGone.

        Temporal names what a schedule starts by the second, and silently drops a second start of the same name.
        """
        handle = await self._handle(schedule_id)
        with unavailable(), _gone():
            await _next_second(await handle.describe(rpc_timeout=RPC_TIMEOUT))
            await handle.trigger(rpc_timeout=RPC_TIMEOUT)

    async def delete(self, schedule_id: str) -> None:
        """Delete a schedule; open batches go on. Raises ScheduleGone."""
        handle = await self._handle(schedule_id)
        with unavailable(), _gone():
            await handle.delete(rpc_timeout=RPC_TIMEOUT)

    async def describe(self, schedule_id: str) -> ScheduleSnapshot:
        """Return what Temporal says of a schedule. Raises ScheduleGone."""
        handle = await self._handle(schedule_id)
        with unavailable(), _gone():
            return _seen(await handle.describe(rpc_timeout=RPC_TIMEOUT))

    async def describe_all(self, schedule_ids: Sequence[str]) -> dict[str, ScheduleSnapshot]:
        """Return what Temporal says of schedules, by id, without those that it does not have."""
        seen, places = dict[str, ScheduleSnapshot](), asyncio.Semaphore(ASKED_AT_ONCE)

        async def describe(schedule_id: str) -> None:
            async with places:
                with suppress(ScheduleGone):
                    seen[schedule_id] = await self.describe(schedule_id)

        await asyncio.gather(*(describe(each) for each in schedule_ids))
        return seen

    async def _handle(self, schedule_id: str) -> ScheduleHandle:
        return (await self._client()).get_schedule_handle(temporal_id(schedule_id))

    async def _create(
        self, temporal_schedule_id: str, setting: ScheduleSettings, schedule_id: str = ""
    ) -> ScheduleHandle:
        client = await self._client()
        with unavailable(), _refusing(setting.timing):
            return await client.create_schedule(
                temporal_schedule_id, _schedule(setting, schedule_id), rpc_timeout=RPC_TIMEOUT
            )

    async def _update(self, schedule_id: str, change: Callable[[ScheduleUpdateInput], ScheduleUpdate]) -> None:
        handle = await self._handle(schedule_id)
        with unavailable(), _gone():
            await handle.update(change, rpc_timeout=RPC_TIMEOUT)


def temporal_id(schedule_id: str) -> str:
    """Return what Temporal calls a schedule."""
    return f"schedule-{schedule_id}"


def _schedule(setting: ScheduleSettings, schedule_id: str) -> Schedule:
    timing = setting.timing
    return Schedule(
        action=ScheduleActionStartWorkflow(
            ScheduledLaunchWorkflow.run,
            ScheduledLaunchInput(schedule_id),
            id=f"{temporal_id(schedule_id)}/launch",
            task_queue=CHILD_TASK_QUEUE,
        ),
        spec=ScheduleSpec(
            cron_expressions=[timing.cron] if timing.every is None else [],
            intervals=[ScheduleIntervalSpec(timing.every)] if timing.every is not None else [],
            time_zone_name=timing.time_zone,
        ),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy[setting.overlap.name], catchup_window=setting.catchup),
        state=ScheduleState(note=setting.note or None, paused=setting.paused),
    )


async def _next_second(description: ScheduleDescription) -> None:
    """Wait until the second of the newest start is over, by this machine's clock, and for a second at most."""
    starts = [action.scheduled_at for action in description.info.recent_actions]
    if starts:
        left = max(starts).replace(microsecond=0) + NAMED_BY - datetime.now(UTC)
        await asyncio.sleep(min(left, NAMED_BY).total_seconds())


def _seen(description: ScheduleDescription) -> ScheduleSnapshot:
    schedule, info = description.schedule, description.info
    timing = _timing(schedule.spec)
    return ScheduleSnapshot(
        timing=timing,
        setting=ScheduleSettings(
            timing=timing or Timing(time_zone=schedule.spec.time_zone_name or "UTC"),
            overlap=Overlap[schedule.policy.overlap.name],
            catchup=schedule.policy.catchup_window or DEFAULT_CATCHUP,
            paused=schedule.state.paused,
            note=schedule.state.note or "",
        ),
        next_times=list(info.next_action_times),
        running=len(info.running_actions),
        launched=info.num_actions,
        skipped=info.num_actions_skipped_overlap,
        missed=info.num_actions_missed_catchup_window,
    )


def _timing(spec: ScheduleSpec) -> Timing | None:
    if len(spec.calendars) + len(spec.intervals) != 1 or spec.skip or spec.start_at or spec.end_at or spec.jitter:
        return None
    time_zone = spec.time_zone_name or "UTC"
    if spec.calendars:
        return Timing(cron=cron_of(spec.calendars[0]), time_zone=time_zone)
    interval = spec.intervals[0]
    return None if interval.offset else Timing(every=interval.every, time_zone=time_zone)


@contextmanager
def _refusing(timing: Timing) -> Iterator[None]:
    """Turn Temporal's refusal of a spec into TimingRefused, with its reason."""
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
