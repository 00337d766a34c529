"""Schedules as the dashboard sets and shows them, and their conversion to and from the SDK's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from temporalio.client import (
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleDescription,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleState,
)

from orchestration.client.cron import cron_of
from orchestration.contracts.dashboard_activities import ScheduledLaunchInput
from orchestration.contracts.names import CHILD_TASK_QUEUE, SCHEDULED_LAUNCH_WORKFLOW

MIN_INTERVAL = timedelta(seconds=1)
MIN_CATCHUP = timedelta(seconds=10)
"""Temporal lengthens shorter ones to these."""

DEFAULT_CATCHUP = timedelta(days=365)
"""Temporal's own, where a schedule sets none."""


class Overlap(StrEnum):
    """What happens when a launch is due while the schedule's last batch is open. Temporal's overlap policies."""

    SKIP = "skip"
    BUFFER_ONE = "buffer_one"
    BUFFER_ALL = "buffer_all"
    CANCEL_OTHER = "cancel_other"
    TERMINATE_OTHER = "terminate_other"
    ALLOW_ALL = "allow_all"


class TimingRefused(Exception):
    """Temporal rejects the timing, or its times never come: the `field` of Timing, and the reason for a person."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field, self.reason = field, reason


class ScheduleGone(Exception):
    """Temporal has no such schedule (any more)."""


@dataclass(frozen=True)
class Timing:
    """When a schedule launches: by cron expression (5 to 7 fields, or e.g. @daily) in a time zone, or by interval."""

    cron: str = ""
    every: timedelta | None = None
    time_zone: str = "UTC"

    @property
    def field(self) -> str:
        """The field that is set."""
        return "interval" if self.every else "cron"


@dataclass(frozen=True)
class ScheduleSettings:
    """What a person sets of a schedule and Temporal holds."""

    timing: Timing
    overlap: Overlap = Overlap.SKIP
    catchup: timedelta = timedelta(hours=1)
    paused: bool = False
    note: str = ""


@dataclass(frozen=True)
class ScheduleSnapshot:
    """A schedule as Temporal describes it.

    `timing` is None where a change outside Canopy has given it several cron expressions or intervals. `running` counts
    the launches whose batch is open, `skipped` and `missed` those dropped by overlap policy and catch-up window.
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


def temporal_id(schedule_id: str) -> str:
    """Return the id of a schedule in Temporal."""
    return f"schedule-{schedule_id}"


def to_temporal(setting: ScheduleSettings, schedule_id: str) -> Schedule:
    """Return settings as the SDK's schedule, which launches for `schedule_id`."""
    timing = setting.timing
    return Schedule(
        action=ScheduleActionStartWorkflow(
            SCHEDULED_LAUNCH_WORKFLOW,
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


def to_snapshot(description: ScheduleDescription) -> ScheduleSnapshot:
    """Return the SDK's description of a schedule as ours."""
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
