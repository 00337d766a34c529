"""Schedules on a real Temporal: its arithmetic is what is told, before a schedule is made and after."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from temporalio.client import Client, ScheduleCalendarSpec, ScheduleRange, ScheduleUpdate, ScheduleUpdateInput

from orchestration.client.schedule_models import (
    Overlap,
    ScheduleGone,
    ScheduleSettings,
    Timing,
    TimingRefused,
    temporal_id,
)
from orchestration.client.schedules import PREVIEW_PREFIX, Schedules
from orchestration.gateway import Gateway
from orchestration.temporal.connection import Connection
from tests.support.stack import TemporalServer
from tests.support.waiting import until


@pytest.fixture
def schedules(temporal_server: TemporalServer) -> Schedules:
    return Gateway(Connection(temporal_server.address)).schedules


@pytest.fixture
async def schedule(schedules: Schedules) -> AsyncIterator[str]:
    """The id of a paused schedule."""
    schedule_id = secrets.token_hex(6)
    timing = Timing("0 7 * * MON-FRI", time_zone="Europe/Berlin")
    await schedules.create(
        schedule_id, ScheduleSettings(timing, Overlap.BUFFER_ONE, timedelta(minutes=5), paused=True, note="n")
    )
    yield schedule_id
    await schedules.delete(schedule_id)


@pytest.mark.parametrize(
    "cron",
    [
        "0 7 * * 1-5",
        "*/15 8-18/2 1,15 1-3 1,3",
        "30 0 29 2 *",
        "0 0 1 1 * 2099",
        "*/10 0 7 * * 1 *",
        "0 7 * * 0,5-6",
    ],
)
async def test_an_expression_comes_back_as_it_was(schedules: Schedules, cron: str) -> None:
    schedule_id, timing = secrets.token_hex(6), Timing(cron, time_zone="America/New_York")
    told = await schedules.next_times(timing)
    await schedules.create(schedule_id, ScheduleSettings(timing, paused=True))
    seen = await schedules.describe(schedule_id)
    await schedules.delete(schedule_id)
    assert seen.timing == timing
    assert seen.next_times in (told, await schedules.next_times(timing)), "one of them may have come meanwhile"


async def test_what_temporal_holds_is_told(schedules: Schedules, schedule: str) -> None:
    seen = await schedules.describe(schedule)
    timing = Timing("0 7 * * 1-5", time_zone="Europe/Berlin")
    assert seen.setting == ScheduleSettings(timing, Overlap.BUFFER_ONE, timedelta(minutes=5), paused=True, note="n")
    assert len(seen.next_times) == 10
    assert {(at.hour, at.minute) for at in seen.local_times} == {(7, 0)}


async def test_an_update_leaves_it_paused_and_pausing_leaves_the_note(schedules: Schedules, schedule: str) -> None:
    await schedules.update(schedule, ScheduleSettings(Timing(every=timedelta(hours=2)), note="other"))
    assert (await schedules.describe(schedule)).setting == ScheduleSettings(
        Timing(every=timedelta(hours=2)), paused=True, note="other"
    )
    await schedules.set_paused(schedule, False)
    seen = (await schedules.describe(schedule)).setting
    assert (seen.paused, seen.note) == (False, "other")


@pytest.mark.parametrize(
    ("timing", "field", "reason"),
    [
        (Timing("0 0 30 2 *"), "cron", "This time never comes"),
        (Timing("0 0 1 1 * 2020"), "cron", "This time never comes"),
        (Timing("61 * * * *"), "cron", "Minute is not in range"),
        (Timing("tomorrow"), "cron", "5-7 fields"),
        (Timing("0 7 * * *", time_zone="Middle/Earth"), "time_zone", "Unknown time zone Middle/Earth."),
        (Timing(every=timedelta(milliseconds=1)), "interval", "Interval is too small"),
    ],
)
async def test_times_that_cannot_be_are_refused_with_the_reason(
    schedules: Schedules, temporal_client: Client, timing: Timing, field: str, reason: str
) -> None:
    with pytest.raises(TimingRefused, match=reason) as refused:
        await schedules.next_times(timing)
    assert refused.value.field == field

    async def nothing_left() -> bool:
        ids = [each.id async for each in await temporal_client.list_schedules()]
        return not any(each.startswith(PREVIEW_PREFIX) for each in ids)

    await until(nothing_left, "previews are deleted")


async def test_several_times_set_elsewhere_are_no_timing(
    schedules: Schedules, schedule: str, temporal_client: Client
) -> None:
    def change(given: ScheduleUpdateInput) -> ScheduleUpdate:
        spec = given.description.schedule.spec
        spec.calendars = [*spec.calendars, ScheduleCalendarSpec(hour=[ScheduleRange(3)])]
        return ScheduleUpdate(given.description.schedule)

    await temporal_client.get_schedule_handle(temporal_id(schedule)).update(change)
    seen = await schedules.describe(schedule)
    assert seen.timing is None
    assert {at.hour for at in seen.local_times} == {3, 7}


async def test_a_schedule_that_is_not_there_is_gone(schedules: Schedules) -> None:
    with pytest.raises(ScheduleGone):
        await schedules.describe("none")
    for call in (schedules.set_paused("none", True), schedules.trigger("none"), schedules.delete("none")):
        with pytest.raises(ScheduleGone):
            await call
    assert await schedules.describe_all(["none"]) == {}
