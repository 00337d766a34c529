"""Histories of released workflows replay: a change that would break what is running is found before it is released."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from orchestration.contracts.fan_out import FanOutInput, FanOutResult
from orchestration.engine.units.factory import units_of

with workflow.unsafe.imports_passed_through():
    from orchestration.worker import WORKFLOWS

RECORDED = sorted((Path(__file__).parent.parent / "histories").glob("*/*.json"))


def started(path: Path) -> dict[str, Any]:
    """Return what a recorded workflow was started with."""
    attributes: dict[str, Any] = json.loads(path.read_text())["events"][0]["workflowExecutionStartedEventAttributes"]
    return attributes


def history(path: Path) -> WorkflowHistory:
    return WorkflowHistory.from_json(started(path)["workflowId"], path.read_text())


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name}/{path.stem}")
async def test_recorded_histories_replay(path: Path) -> None:
    replayer = Replayer(workflows=WORKFLOWS, data_converter=pydantic_data_converter)
    await replayer.replay_workflow(history(path))


def test_every_parent_has_a_recorded_history() -> None:
    recorded = {started(path)["workflowType"]["name"] for path in RECORDED}
    without = {
        "ServiceWorkflow",
        "ScheduledLaunchWorkflow",
        "NotificationWorkflow",
        "ResourceHoldWorkflow",
        "PruneWorkflow",
    }
    assert recorded == {each.__name__ for each in WORKFLOWS} - without


@workflow.defn(name="FanOutWorkflow")
class HastyFanOutWorkflow:
    """What an incompatible change looks like: it waits before it starts the first child."""

    @workflow.run
    async def run(self, given: FanOutInput) -> FanOutResult:
        """Sleep, then do something else."""
        await workflow.sleep(1)
        return units_of(given, lambda number: None).result()


async def test_an_incompatible_change_is_found() -> None:
    replayer = Replayer(workflows=[HastyFanOutWorkflow], data_converter=pydantic_data_converter)
    path = next(path for path in RECORDED if path.stem == "fan-out")
    with pytest.raises(workflow.NondeterminismError):
        await replayer.replay_workflow(history(path))
