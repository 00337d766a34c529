"""Times of items are Temporal's, whatever the clock of the worker's host says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.testing import ActivityEnvironment

from orchestration.temporal.task_clock import FEW, LONGEST_DELAY, HostClock, TaskClock

SKEWS = [timedelta(seconds=-90), timedelta(0), timedelta(days=3)]
NEARLY = timedelta(seconds=1)
"""What a busy machine takes between two lines of a test, generously; delays in the tests are longer."""


@pytest.fixture(autouse=True)
def host(monkeypatch: pytest.MonkeyPatch) -> HostClock:
    """Return the clock of a process that has had no task yet."""
    made = HostClock()
    monkeypatch.setattr(TaskClock, "host", made)
    return made


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


@pytest.mark.parametrize("skew", SKEWS)
def test_a_task_that_arrives_late_does_not_tell_the_past(skew: timedelta) -> None:
    late = [timedelta(seconds=20)] * FEW
    delays = [*late, timedelta(0), *late]
    for delay in delays:
        told = time_told(is_local=False, started=datetime.now(UTC) + skew - delay, called=None)
    now = datetime.now(UTC) + skew
    assert now - NEARLY < told <= now


def test_the_first_task_of_a_process_may_be_late() -> None:
    told = time_told(is_local=False, started=datetime.now(UTC) - timedelta(seconds=1.9), called=None)
    assert datetime.now(UTC) - NEARLY < told <= datetime.now(UTC)


def test_after_a_clock_was_set_each_task_counts_for_itself() -> None:
    for _ in range(FEW):
        time_told(is_local=False, started=datetime.now(UTC) + timedelta(hours=1), called=None)
    started = datetime.now(UTC) - LONGEST_DELAY
    told = time_told(is_local=False, started=started, called=None)
    assert started <= told <= started + timedelta(seconds=5)
