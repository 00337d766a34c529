"""The activity that launches what is due: once per due time, as the person who made it, or the reason on the page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from pytest_django import Settings
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from dashboard.activities.launch_scheduled import launch_scheduled
from dashboard.models import Batch, Schedule
from dashboard.temporal import gateway
from orchestration.client.schedule_models import ScheduleSettings, Timing
from orchestration.contracts.dashboard_activities import DueLaunch
from orchestration.contracts.workflow_ids import root_id
from orchestration.plan.plan import Plan
from orchestration.processors import catalogue
from tests.support.stack import TemporalServer

pytestmark = pytest.mark.django_db(transaction=True)

AT = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)


@pytest.fixture
async def schedule(operator: User, temporal_server: TemporalServer, settings: Settings) -> AsyncIterator[Schedule]:
    """A paused schedule of a slow batch on a queue that nobody polls."""
    catalogue.load()
    settings.TEMPORAL_ADDRESS = temporal_server.address
    gateway.cache_clear()
    source = {"kind": "count", "upload": None, "name": "", "key": "", "left_out": 0}
    plan = Plan(task_queue="nobody").model_dump(mode="json")
    request = {"processor": "simulate", "parameters": {"seed": 7}, "plan": plan, "label": "due", "source": source}
    made = await Schedule.objects.acreate(name="n", request=request, item_count=3, made_by=operator)
    await gateway().schedules.create(made.pk, ScheduleSettings(Timing(every=timedelta(days=1)), paused=True))
    yield made
    await gateway().schedules.delete(made.pk)
    async for batch in Batch.objects.all():
        await gateway().terminate(root_id(batch.pk), "The test is over.")
    gateway.cache_clear()


async def test_another_try_makes_no_second_batch(schedule: Schedule) -> None:
    due = DueLaunch(schedule.pk, AT, "run-1")
    first, again = [await ActivityEnvironment().run(launch_scheduled, due) for _ in range(2)]
    assert first == again
    batch = await Batch.objects.select_related("launched_by").aget()
    assert (batch.pk, batch.schedule_id, batch.launched_via) == (first.batch_id, schedule.pk, "schedule")
    assert (batch.launched_by_id, batch.label, batch.item_count) == (schedule.made_by_id, "due", 3)
    assert batch.parameters == {"seed": 7}
    assert await gateway().describe_run(root_id(batch.pk)) is not None
    other = await ActivityEnvironment().run(launch_scheduled, DueLaunch(schedule.pk, AT, "run-2"))
    assert other.batch_id != first.batch_id


async def test_who_may_not_launch_any_more_does_not_by_schedule(schedule: Schedule, operator: User) -> None:
    await sync_to_async(operator.groups.clear)()
    with pytest.raises(ApplicationError) as refused:
        await ActivityEnvironment().run(launch_scheduled, DueLaunch(schedule.pk, AT, "run"))
    assert refused.value.non_retryable
    entry = await schedule.entries.aget()
    assert entry.outcome.startswith("Nothing was launched: Read-only: ")
    assert not await Batch.objects.aexists()


async def test_a_credential_that_is_stored_since_before_is_not_launched_and_not_quoted(schedule: Schedule) -> None:
    parameters = {"url": "{url}", "headers": {"X-Token": "geheim"}}
    changed = {**schedule.request, "processor": "http_request", "parameters": parameters}
    await Schedule.objects.filter(pk=schedule.pk).aupdate(request=changed)
    with pytest.raises(ApplicationError, match="Looks like a credential") as refused:
        await ActivityEnvironment().run(launch_scheduled, DueLaunch(schedule.pk, AT, "run"))
    entry = await schedule.entries.aget()
    assert "{secret:NAME}" in entry.outcome
    assert "geheim" not in f"{entry.outcome} {refused.value}"
    assert not await Batch.objects.aexists()


async def test_a_deleted_schedule_launches_nothing(schedule: Schedule) -> None:
    await Schedule.objects.filter(pk=schedule.pk).aupdate(deleted_at=AT)
    with pytest.raises(ApplicationError, match="was deleted"):
        await ActivityEnvironment().run(launch_scheduled, DueLaunch(schedule.pk, AT, "run"))
    assert not await Batch.objects.aexists()
