"""The launch form and the schedule form as a browser sends them."""

from __future__ import annotations

import re
from typing import Any

QUICK = {"seconds_from": 0, "seconds_to": 0}


def schedule_form(**given: Any) -> dict[str, Any]:
    """Return the schedule form as a browser sends it."""
    first = {"name": "Nightly", "repeat": "weekdays", "at": "07:00", "time_zone": "Europe/Berlin", "overlap": "skip"}
    rest = {"catchup": 60, "catchup_unit": "minutes", "unit": "hours", "note": "", "cron": "", "every": "", "minute": 0}
    return first | rest | given


def launch_token(page: str) -> str:
    """Return the token of the launch in a schedule form."""
    found = re.search(r'name="launch" value="([^"]+)"', page)
    assert found, page
    return found[1]


def launch_form(**given: Any) -> dict[str, Any]:
    """Return the form of `simulate` as a browser sends it."""
    plan: dict[str, Any] = {
        "chunk_size": 1,
        "window": 50,
        "item_concurrency": 10,
        "item_attempts": 3,
        "item_backoff": 1,
    }
    plan |= {"item_timeout": 60, "failure_policy": "collect", "task_queue": "canopy"}
    parameters = {"seconds_from": 0, "seconds_to": 0, "fail_percent": 0, "fail_first_attempts": 0, "seed": 1}
    parameters["result_bytes"] = 0
    whole: dict[str, Any] = {f"plan-{name}": value for name, value in plan.items()}
    whole |= {f"parameters-{name}": value for name, value in parameters.items()}
    whole |= {"format": "lines", "text": "a\nb\nc", "key": "", "label": "", "idempotency_key": "once", "upload": ""}
    return whole | given
