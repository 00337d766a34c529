"""Overlap policies: what happens to a launch while an earlier batch is open."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise

import pytest

from tests.support.http_browser import http_browser
from tests.support.schedules import batches_of, create_schedule, read_schedule, trigger
from tests.support.stack import Stack
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

SLOW = {"seconds_from": 600, "seconds_to": 600}
OPEN = ("pending", "running", "paused")


def _at(time: str) -> datetime:
    return datetime.fromisoformat(time)


def test_an_interval_with_skip_never_has_two_open_batches(stack: Stack, created: list[str]) -> None:
    slow = {"seconds_from": 1.5, "seconds_to": 1.5}
    schedule = create_schedule(stack, created, interval=1, parameters=slow, count=1, overlap="skip")["id"]
    most = 0

    def has_launched_three() -> bool:
        nonlocal most
        states = [stack.batch(batch)["status"] for batch in batches_of(stack, schedule)]
        most = max(most, sum(status in OPEN for status in states))
        return len(states) >= 3

    wait_until(has_launched_three, "three batches are launched")
    stack.api("POST", f"/schedules/{schedule}/pause")
    held = read_schedule(stack, schedule)["temporal"]
    times = [stack.wait_for(batch, "completed") for batch in reversed(batches_of(stack, schedule))]
    assert most == 1
    assert all(_at(first["closed_at"]) <= _at(second["opened_at"]) for first, second in pairwise(times))
    assert held["skipped"] >= 1


def test_cancel_other_cancels_the_open_batch_before_the_next(stack: Stack, created: list[str]) -> None:
    schedule = create_schedule(stack, created, parameters=SLOW, overlap="cancel_other")["id"]
    first = trigger(stack, schedule, 1)
    stack.wait_for(first, "running")
    second = trigger(stack, schedule, 2)
    canceled = stack.wait_for(first, "canceled")
    assert _at(canceled["closed_at"]) <= _at(stack.wait_for(second, "running")["opened_at"])
    assert "as the overlap policy says" in http_browser(stack).get(f"/batches/{first}/activity/").text


def test_terminate_other_terminates_the_open_batch(stack: Stack, created: list[str]) -> None:
    schedule = create_schedule(stack, created, parameters=SLOW, overlap="terminate_other")["id"]
    first = trigger(stack, schedule, 1)
    stack.wait_for(first, "running")
    second = trigger(stack, schedule, 2)
    stack.wait_for(first, "terminated")
    stack.wait_for(second, "running")
    assert "as the overlap policy says" in http_browser(stack).get(f"/batches/{first}/activity/").text


@pytest.mark.parametrize(("overlap", "launched"), [("buffer_one", 2), ("buffer_all", 4)])
def test_buffered_launches_run_after_the_open_batch(
    stack: Stack, created: list[str], overlap: str, launched: int
) -> None:
    schedule = create_schedule(stack, created, parameters=SLOW, count=1, overlap=overlap)["id"]
    stack.wait_for(trigger(stack, schedule, 1), "running")
    for _ in range(3):
        assert stack.api("POST", f"/schedules/{schedule}/trigger").status_code == 202
    for number in range(1, launched + 1):
        wait_until(lambda number=number: len(batches_of(stack, schedule)) == number, f"batch {number}")  # type: ignore[misc]
        batch = batches_of(stack, schedule)[0]
        stack.wait_for(batch, "running")
        assert stack.api("POST", f"/batches/{batch}/cancel").status_code == 202
        stack.wait_for(batch, "canceled")
    wait_until(lambda: read_schedule(stack, schedule)["temporal"]["running"] == 0, "nothing more is buffered")
    times = [stack.batch(batch) for batch in reversed(batches_of(stack, schedule))]
    assert len(times) == launched
    assert all(_at(first["closed_at"]) <= _at(second["opened_at"]) for first, second in pairwise(times))


def test_allow_all_runs_batches_side_by_side(stack: Stack, created: list[str]) -> None:
    schedule = create_schedule(stack, created, parameters=SLOW, overlap="allow_all")["id"]
    every = [trigger(stack, schedule, number) for number in (1, 2, 3, 4)]
    assert {stack.wait_for(batch, "running")["status"] for batch in every} == {"running"}


def test_a_trigger_that_the_policy_would_skip_is_refused(stack: Stack, created: list[str]) -> None:
    schedule = create_schedule(stack, created, parameters=SLOW)["id"]
    trigger(stack, schedule, 1)
    answer = stack.api("POST", f"/schedules/{schedule}/trigger")
    assert (answer.status_code, "still open" in answer.json()["detail"]) == (409, True)
