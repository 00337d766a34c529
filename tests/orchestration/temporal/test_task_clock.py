"""Times of items are Temporal's, whatever the clock of the worker's host says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.testing import ActivityEnvironment

from orchestration.temporal.task_clock import TaskClock

SKEWS = [timedelta(seconds=-90), timedelta(0), timedelta(days=3)]


def time_told(*, is_local: bool, started: datetime, called: datetime | None) -> datetime:
    """Return what a clock says in an activity that Temporal has started at a time."""
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, started_time=started, is_local=is_local)
    told: datetime = environment.run(lambda: TaskClock.of_activity(called).now())
    return told


@pytest.mark.parametrize("skew", SKEWS)
def test_an_activity_counts_on_from_when_temporal_started_it(skew: timedelta) -> None:
    started = datetime.now(UTC) + skew
    told = time_told(is_local=False, started=started, called=None)
    assert started <= told <= datetime.now(UTC) + skew


@pytest.mark.parametrize("skew", SKEWS)
def test_a_local_activity_counts_on_from_the_time_of_its_workflow(skew: timedelta) -> None:
    called = datetime.now(UTC) + skew
    told = time_told(is_local=True, started=datetime.now(UTC), called=called)
    assert called <= told <= datetime.now(UTC) + skew
