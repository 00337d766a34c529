"""Workflows whose ids Temporal's query language cannot write are found all the same, and no others with them."""

from __future__ import annotations

import secrets

import pytest
from temporalio.client import Client

from orchestration.contracts.status import Status
from orchestration.contracts.workflow_ids import WorkflowTree
from orchestration.gateway import Gateway
from orchestration.temporal.connection import Connection
from tests.support.stack import TemporalServer
from tests.support.waiting import until

ODD = ["{}\tb", "{}\nb", '{}"b', "{}\\b", "{}'b", "\t{}", "{}%_b", "{} \u200f😀"]


@pytest.mark.parametrize("form", ODD)
async def test_a_tree_is_found_by_any_root(temporal_server: TemporalServer, temporal_client: Client, form: str) -> None:
    root = form.format(secrets.token_hex(6))
    for workflow_id in (root, f"{root}2"):
        await temporal_client.start_workflow("unknown", id=workflow_id, task_queue="nobody")
    reader = Gateway(Connection(temporal_server.address))

    async def is_listed() -> bool:
        other = [run async for run in reader.runs(WorkflowTree(f"{root}2"))]
        return bool(other and [run async for run in reader.runs(WorkflowTree(root))])

    await until(is_listed, "both are listed")
    assert [run.workflow_id async for run in reader.runs(WorkflowTree(root))] == [root]
    assert await reader.count_runs(WorkflowTree(root)) == {Status.RUNNING: 1}
