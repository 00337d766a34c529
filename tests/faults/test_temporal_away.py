"""Temporal down: a launched batch is kept and starts later, or can be discarded; every other action fails clearly."""

from __future__ import annotations

import pytest

from tests.support.stack import Stack
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow


def test_a_batch_launched_without_temporal_starts_when_it_is_back(fragile_stack: Stack) -> None:
    stack = fragile_stack
    stack.temporal.process.kill()
    quick = {"seconds_from": 0, "seconds_to": 0}
    kept = stack.launch(processor="simulate", parameters=quick, count=5)
    given_up = stack.launch(processor="simulate", parameters=quick, count=5)
    assert "Can't reach Temporal" in stack.batch(kept)["start_error"]
    assert stack.batch(kept)["status"] == "pending"
    health = stack._health()
    assert health == 503
    assert stack.api("POST", f"/batches/{kept}/pause").status_code == 503
    assert stack.api("POST", f"/batches/{kept}/retry", {"status": "failed"}).status_code == 409
    _discard(stack, given_up)
    stack.temporal.start()
    assert stack.wait_for(kept, "completed")["start_error"] == ""
    assert stack.batch(given_up)["status"] == "canceled"
    assert stack.batch(given_up)["items"]["completed"] == 0, "a start that was on its way when it was discarded"
    assert stack.batch(given_up)["children"]["skipped"] == 5
    wait_until(lambda: stack._health() == 200, "all parts answer again")


def _discard(stack: Stack, batch: str) -> None:
    code = (
        "from django.contrib.auth.models import User; from dashboard.actions.batch import discard; "
        "from dashboard.models import Batch; "
        f"discard(User.objects.get(username='operator'), Batch.objects.get(pk='{batch}'))"
    )
    stack.manage("shell", "--verbosity", "0", "--command", code)
