"""From the last release to this one while batches of every kind run: first both releases' workers, then this one's.

The database is migrated under the old processes, as docs/deployment/upgrade.md says.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowExecutionStatus

from orchestration.contracts.workflow_ids import root_id
from tests.support.prepared import manage
from tests.support.releases import ReleasedProcesses, check_out
from tests.support.stack import Stack, TemporalServer, free_port
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

WORK: dict[str, Any] = {"processor": "simulate", "parameters": {"seconds_from": 0.3, "seconds_to": 0.3}}
PLAN = {"chunk_size": 1, "window": 2, "item_attempts": 1}
HALF_FAIL = {**WORK, "parameters": {**WORK["parameters"], "fail_percent": 50, "seed": 3}}
ITEMS = [{"id": str(number), "account": f"account {number % 2}"} for number in range(8)]


def _batch(work: dict[str, Any] = WORK, **plan: Any) -> dict[str, Any]:
    return {**work, "items": ITEMS, "key": "id", "plan": {**PLAN, **plan}}


BATCHES = {
    "chunks": _batch(HALF_FAIL, chunk_size=2),
    "activities": _batch(execution="activities", chunk_size=2),
    "local activities": _batch(execution="local_activities", chunk_size=2),
    "no children": _batch(execution="no_children"),
    "pool": _batch(execution="pool"),
    "entities": _batch(execution="entities", entity_field="account"),
    "resources": _batch(resource_field="id"),
    "pages": {**WORK, "count": 8, "plan": {**PLAN, "paged": True, "page_children": 2}},
}

STEP = {"processor": "simulate", "parameters": {"seconds_from": 0.5, "seconds_to": 0.5}}
FLOWS: dict[str, dict[str, Any]] = {
    "pipeline": {"kind": "pipeline", "stages": [{"name": name, **WORK, "plan": PLAN} for name in ("first", "second")]},
    "saga": {"kind": "saga", "steps": [{"name": name, **STEP, "compensation": STEP} for name in ("a", "b", "c")]},
    "services": {"kind": "services", "services": [{"name": name, **STEP} for name in ("a", "b")]},
    "steps": {
        "kind": "steps",
        "steps": [
            {"name": "first", "run": STEP},
            {"name": "all", "fan_out": {**WORK, "plan": PLAN, "items": ["x", "y", "z"]}},
            {"name": "gate", "approval": {"title": "Go on?", "timeout": 600}},
            {"name": "last", "run": STEP},
        ],
    },
}

OVER = ("completed", "completed_with_failures", "failed")
CONSISTENT = """
from dashboard.models import Batch
from tests.support.oracle import assert_consistent
for pk in Batch.objects.values_list("pk", flat=True):
    assert_consistent(pk)
"""


@pytest.fixture
def stack(stack_server: TemporalServer) -> Iterator[Stack]:
    """A stack whose database is made by the last release, on a namespace of its own."""
    namespace = f"upgrade-{free_port()}"
    stack_server.cli("operator", "namespace", "create", "--namespace", namespace)
    made = Stack(stack_server, {"TEMPORAL_NAMESPACE": namespace})
    yield made
    made.stop()


def test_batches_of_every_kind_go_on_over_an_upgrade(stack: Stack, tmp_path: Path) -> None:
    released = ReleasedProcesses(check_out(tmp_path / "released"), stack)
    released.prepare()
    stack.login = json.loads((stack.home / "first-login.json").read_text())
    try:
        released.start()
        stack.wait_healthy()
        batches = _launch(stack)
        _bring_into_the_middle(stack, batches)
        manage(stack.env, "migrate", "--verbosity=0")
        stack.worker.start()
        first, second = [*batches][::2], [*batches][1::2]
        for kind in first:
            _ask(stack, batches[kind], "resume")
        wait_until(lambda: any(stack.batch(batches[kind])["status"] in OVER for kind in first), "one has gone on")
    finally:
        released.stop()
    stack.web.start()
    stack.wait_healthy()
    for kind in second:
        _ask(stack, batches[kind], "resume")
    _finish(stack, batches)
    manage(stack.env, "shell", "--verbosity=0", f"--command={CONSISTENT}")
    unlike = list[str]()

    def are_alike() -> bool:
        listed = asyncio.run(_listed(stack))
        unlike[:] = [kind for kind, batch in batches.items() if not _is_alike(stack, batch, listed)]
        return not unlike

    wait_until(are_alike, lambda: f"rows and Temporal agree about all but {unlike}")


def _is_alike(stack: Stack, batch: str, listed: dict[str, str]) -> bool:
    """Whether the rows of a batch have all of its workflows, as Temporal lists them."""
    rows = {node["workflow_id"]: node["status"] for node in stack.nodes(batch)}
    its = {name: status for name, status in listed.items() if f"{name}/".startswith(f"{root_id(batch)}/")}
    return len(its) > 0 and its == {name: rows.get(name) for name in its}


def _launch(stack: Stack) -> dict[str, str]:
    """Launch a batch of each kind with the release that runs, and return their ids."""
    launched = {kind: stack.launch(label=kind, **given) for kind, given in BATCHES.items()}
    for kind, definition in FLOWS.items():
        saved = stack.api("POST", "/definitions", {"name": kind, "text": json.dumps(definition)})
        assert saved.status_code == 201, saved.text
        items = {"items": ITEMS, "key": "id"} if kind == "pipeline" else {}
        launched[kind] = stack.launch(definition=saved.json()["newest"]["id"], label=kind, **items)
    return launched


def _bring_into_the_middle(stack: Stack, batches: dict[str, str]) -> None:
    """Pause what runs once something of it has run. Two go on running."""
    for kind, batch in batches.items():
        wait_until(partial(_has_begun, stack, batch), f"{kind} has begun")
        if kind not in ("activities", "services"):
            _ask(stack, batch, "pause")


def _has_begun(stack: Stack, batch: str) -> bool:
    return stack.batch(batch)["status"] in OVER or any(
        node["kind"] != "root" and node["status"] != "pending" for node in stack.nodes(batch)
    )


def _ask(stack: Stack, batch: str, action: str) -> None:
    """Pause or resume a batch, unless it is over; again while a machine that is busy lets the answer time out."""
    wait_until(lambda: stack.api("POST", f"/batches/{batch}/{action}").status_code in (202, 409), f"asked to {action}")


def _finish(stack: Stack, batches: dict[str, str]) -> None:
    """Approve what waits, wait for the end of all, and retry what failed."""
    stack.wait_for(batches["steps"], "held")
    stack.approve(batches["steps"])
    for kind, batch in batches.items():
        state = stack.wait_for(batch, *OVER)
        assert kind == "chunks" or state["status"] == "completed", (kind, state)
    failed = stack.batch(batches["chunks"])["children"]["failed"]
    accepted = stack.api("POST", f"/batches/{batches['chunks']}/retry", {"status": "failed"}).json()["accepted"]
    assert len(accepted) == failed > 0
    wait_until(lambda: stack.batch(batches["chunks"])["children"]["failed"] == failed, "they have failed again")
    attempts = {node["attempt"] for node in stack.nodes(batches["chunks"], kind="child", status="failed")}
    assert attempts == {2}
    stack.wait_for(batches["chunks"], *OVER)


async def _listed(stack: Stack) -> dict[str, str]:
    """Return what Temporal lists: {workflow id: status of its newest run}."""
    client = await Client.connect(stack.temporal.address, namespace=stack.env["TEMPORAL_NAMESPACE"])
    runs = [run async for run in client.list_workflows("WorkflowId STARTS_WITH 'batch-'")]
    return {
        run.id: run.status.name.lower()
        for run in sorted(runs, key=lambda each: each.start_time)
        if run.status is not None and run.status is not WorkflowExecutionStatus.CONTINUED_AS_NEW
    }
