"""Schedules over the API: created, read, triggered."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from tests.support.forms import QUICK
from tests.support.http_browser import http_browser
from tests.support.stack import Stack
from tests.support.waiting import wait_until

RARELY = {"cron": "0 7 * * 1-5", "time_zone": "Europe/Berlin"}


def distant_hour(zone: str) -> str:
    """Return an hour of the day of which none comes within six hours: the next times stay the same meanwhile."""
    return "19" if 1 <= datetime.now(ZoneInfo(zone)).hour < 13 else "07"


def create_schedule(stack: Stack, created: list[str], **given: Any) -> dict[str, Any]:
    """Create a schedule over the API, and note its id among those to delete."""
    body = {"name": "test", "processor": "simulate", "parameters": QUICK, "count": 2, **given}
    if "interval" not in body:
        body = RARELY | body
    answer = stack.api("POST", "/schedules", body)
    assert answer.status_code == 201, answer.text
    created.append(answer.json()["id"])
    schedule: dict[str, Any] = answer.json()
    return schedule


def read_schedule(stack: Stack, schedule: str) -> dict[str, Any]:
    """Return a schedule from the API."""
    found: dict[str, Any] = stack.api("GET", f"/schedules/{schedule}").raise_for_status().json()
    return found


def batches_of(stack: Stack, schedule: str) -> list[str]:
    """Return the ids of a schedule's batches as the filtered list shows them, newest first."""
    page = http_browser(stack).get(f"/batches/?schedule={schedule}").text
    return re.findall(r'<tr id="batch-(\w+)"', page)


def trigger(stack: Stack, schedule: str, number: int) -> str:
    """Trigger and return the new batch, the `number`th."""
    answer = stack.api("POST", f"/schedules/{schedule}/trigger")
    assert answer.status_code == 202, answer.text
    return wait_until(
        lambda: found[0] if len(found := batches_of(stack, schedule)) == number else "", f"batch {number} is launched"
    )
