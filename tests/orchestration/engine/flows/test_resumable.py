"""A flow that goes on where it stopped, and when it cannot."""

from __future__ import annotations

import pytest

from orchestration.temporal.connection import StateTooLarge
from tests.support.bulk import BULK, SIZE
from tests.support.engine import Engine
from tests.support.flows import steps, work
from tests.support.parents import failure_of
from tests.support.probe import Probe


async def test_a_flow_whose_results_are_more_than_an_input_may_have_says_how_many_bytes(engine: Engine) -> None:
    probe = Probe()
    probe.fail = {"last"}
    much = [{"name": f"much-{number}", "run": BULK} for number in range(2)]
    run = await engine.flow(steps(*much, {"name": "last", "run": work(probe)}), probe)
    assert "last" in (await failure_of(run)).message
    with pytest.raises(StateTooLarge) as error:
        await engine.gateway.retry(run.given, {}, believed_open=(), update_id="too-large")
    assert error.value.size > 2 * SIZE
