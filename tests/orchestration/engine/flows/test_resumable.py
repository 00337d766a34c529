"""A flow that goes on where it stopped, and when it cannot."""

from __future__ import annotations

import pytest

from orchestration.contracts.flows import FlowState
from orchestration.temporal.connection import StateTooLarge
from tests.support.bulk import SIZE, much
from tests.support.engine import Engine
from tests.support.flows import retry_children, steps, work
from tests.support.parents import failure_of
from tests.support.probe import Probe


async def test_a_flow_whose_results_are_more_than_an_input_may_have_goes_on(engine: Engine) -> None:
    probe = Probe()
    probe.fail = {"last"}
    run = await engine.flow(
        steps(much("one"), {"name": "early", "run": work(probe)}, much("two"), {"name": "last", "run": work(probe)}),
        probe,
    )
    assert "last" in (await failure_of(run)).message
    probe.fail.clear()
    await retry_children(engine, run)
    assert set(await run.result()) == {"one", "early", "two", "last"}
    assert dict(probe.calls) == {"early": 1, "last": 2}


async def test_a_flow_that_has_too_much_from_before_says_how_many_bytes(engine: Engine) -> None:
    probe = Probe()
    probe.fail = {"last"}
    before = FlowState(results={"much": "x" * (SIZE + 300_000)})
    run = await engine.flow(steps({"name": "last", "run": work(probe)}), probe, before=before)
    assert "last" in (await failure_of(run)).message
    with pytest.raises(StateTooLarge) as error:
        await engine.gateway.retry(run.given, {}, believed_open=(), update_id="too-large")
    assert error.value.size > SIZE
