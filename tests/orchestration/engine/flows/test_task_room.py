"""Steps whose inputs together exceed a message of Temporal run all the same."""

from __future__ import annotations

from orchestration.contracts.flows import FlowState
from tests.support.bulk import SIZE
from tests.support.engine import Engine
from tests.support.flows import steps
from tests.support.probe import Probe


async def test_parallel_steps_whose_inputs_are_together_larger_than_a_message_all_run(engine: Engine) -> None:
    probe = Probe()
    takes = {"processor": "probe", "parameters": {"probe": probe.name}, "input": {"data": {"ref": "much.data"}}}
    parallel = [{"name": f"take-{number}", "run": takes} for number in range(5)]
    before = FlowState(results={"much": {"data": "x" * SIZE}})  # of a run that kept results itself
    run = await engine.flow(steps({"name": "all", "parallel": parallel}), probe, before=before)
    result = await run.result()
    assert [result[f"take-{number}"]["calls"] for number in range(5)] == [1] * 5
    history = await run.root.fetch_history()
    assert not any(event.HasField("workflow_task_failed_event_attributes") for event in history.events)
