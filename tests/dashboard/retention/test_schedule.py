"""Retention on the real Temporal: the dashboard deletes what is due, and says who asked for it."""

from __future__ import annotations

import secrets

from tests.support.stack import Stack
from tests.support.waiting import wait_until


def test_temporal_has_what_is_due_deleted_and_the_run_is_shown(stack: Stack) -> None:
    label = f"retention {secrets.token_hex(4)}"
    at_once = {"seconds_from": 0, "seconds_to": 0}
    batch = stack.launch(processor="simulate", parameters=at_once, count=2, label=label)
    stack.wait_for(batch, "completed")
    rule = stack.api("POST", "/retention/rules", {"days": 2, "label": label}).json()
    assert rule["label"] == label
    assert stack.api("GET", "/retention/preview").json()["by_rule"] == {}
    code = f"from dashboard.models import *; Batch.objects.filter(pk={batch!r}).update(closed_at='2026-01-01T00:00Z')"
    stack.manage("shell", "-v0", "-c", code)
    try:
        said = stack.api("GET", "/retention/preview").json()
        assert (said["batches"], list(said["by_rule"])) == (1, [f"label {label}: 2 days"])
        assert stack.api("POST", "/retention/run").status_code == 202
        wait_until(lambda: stack.api("GET", f"/batches/{batch}").status_code == 410, "the batch is deleted")

        def is_shown() -> bool:
            run = stack.api("GET", "/retention").json()["runs"][0]
            shown = (run["started_by"], run["batches"], run["error"])
            return run["ended_at"] is not None and shown == (stack.login["username"], 1, "")

        wait_until(is_shown, "the run is shown")
    finally:
        stack.api("DELETE", f"/retention/rules/{rule['id']}")
    assert stack.api("GET", f"/deleted-batches/{batch}").json()["items"]["completed"] == 2
