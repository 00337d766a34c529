"""What Temporal has forgotten: batches whose workflow executions are gone are shown, retried and compared all the same.

The work is a web server's: a path with `busy` refuses its first request, so that whatever calls it fails, and succeeds
when it is retried. How often a path was called says what was done twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from temporalio.api.common.v1 import WorkflowExecution as Execution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecution
from temporalio.service import RPCError, RPCStatusCode

from orchestration.gateway import Gateway
from orchestration.temporal.connection import Connection
from tests.support.definition_texts import save_definition
from tests.support.echo_server import EchoHandler, echo_server
from tests.support.stack import Stack
from tests.support.waiting import until, wait_until

pytestmark = pytest.mark.slow

PLANS: dict[str, dict[str, Any]] = {
    "chunks": {"chunk_size": 2},
    "children": {"chunk_size": 1},
    "activities": {"chunk_size": 2, "execution": "activities"},
    "local activities": {"chunk_size": 2, "execution": "local_activities"},
    "no children": {"chunk_size": 1, "execution": "no_children"},
    "pool": {"chunk_size": 1, "execution": "pool"},
    "entities": {"chunk_size": 1, "execution": "entities", "entity_field": "account"},
    "groups": {"chunk_size": 1, "group_size": 2},
}
FLOWS = {
    "pipeline": """
kind: pipeline
stages:
  - {name: fetch, processor: http_request, plan: {item_attempts: 1, chunk_size: 1}}
  - {name: again, processor: http_request, parameters: {url: "ADDRESS/ok/second/{account}"}}
""",
    "saga of items": """
kind: saga
fan_out: true
steps:
  - {name: fetch, processor: http_request}
plan: {item_attempts: 1, chunk_size: 1}
""",
}
STEPS = """
kind: steps
steps:
  - name: before
    run: {processor: http_request, parameters: {url: "ADDRESS/ok/before/0"}}
  - name: each
    fan_out:
      processor: http_request
      plan: {item_attempts: 1, chunk_size: 1}
      items: [{url: "ADDRESS/ok/each/0"}]
  - name: last
    run: {processor: http_request, parameters: {url: "ADDRESS/busy/last/0"}}
"""
SERVICES = """
kind: services
services:
  - {name: one, processor: http_request, parameters: {url: "ADDRESS/ok/one/0"}}
  - {name: two, processor: http_request, parameters: {url: "ADDRESS/busy/two/0"}}
"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with echo_server() as found:
        yield found


def visits() -> Counter[str]:
    return Counter(path for path, _ in EchoHandler.visits)


def items_of(address: str, name: str) -> list[dict[str, str]]:
    place = f"{address}/{{}}/{name.replace(' ', '-')}-{{}}/0"
    return [{"url": place.format("busy" if at % 2 else "ok", at), "account": f"{name}{at}"} for at in range(4)]


@pytest.fixture
async def client(stack: Stack) -> Client:
    return await Client.connect(stack.temporal.address)


async def listed(client: Client, query: str) -> list[WorkflowExecution]:
    return [each async for each in client.list_workflows(query)]


async def forget(client: Client, executions: list[WorkflowExecution]) -> None:
    """Delete executions, as the end of a namespace's retention does."""
    for each in executions:
        run = Execution(workflow_id=each.id, run_id=each.run_id)
        request = DeleteWorkflowExecutionRequest(namespace=client.namespace, workflow_execution=run)
        with suppress(RPCError):  # it is gone, and listed for a moment longer
            await client.workflow_service.delete_workflow_execution(request)


async def forget_batch(client: Client, batch: str) -> None:
    """Delete all executions of a batch, and wait until Temporal has neither them nor their histories."""
    query = f'RootWorkflowId = "batch-{batch}"'

    async def is_gone() -> bool:
        await forget(client, found := await listed(client, query))
        if found:
            return False
        try:
            await client.get_workflow_handle(f"batch-{batch}").describe()
        except RPCError as error:
            return error.status is RPCStatusCode.NOT_FOUND
        return False

    async def is_listed() -> bool:
        return bool(await listed(client, query))

    await until(is_listed, f"the executions of {batch} are listed")
    await until(is_gone, f"the executions of {batch} are deleted")


async def test_every_kind_of_batch_is_retried_from_its_rows_after_its_history_is_gone(
    stack: Stack, address: str, client: Client
) -> None:
    batches = dict[str, str]()
    for name, plan in PLANS.items():
        plan = {"item_attempts": 1, **plan}
        batches[name] = stack.launch(processor="http_request", items=items_of(address, name), plan=plan)
    for name, text in {**FLOWS, "steps": STEPS, "services": SERVICES}.items():
        items = {"items": items_of(address, name)} if name in FLOWS else {"plan": {"item_attempts": 1}}
        batches[name] = stack.launch(definition=save_definition(stack, text.replace("ADDRESS", address)), **items)
    before = {
        name: stack.wait_for(batch, "completed_with_failures", "failed", "rolled_back")
        for name, batch in batches.items()
    }
    assert {name for name, state in before.items() if state["status"] == "completed"} == set()
    wait_until_kept(stack, [batches["steps"], batches["services"]])
    for batch in batches.values():
        await forget_batch(client, batch)
    for name, batch in batches.items():
        assert stack.batch(batch)["status"] == before[name]["status"]
        retry(stack, batch)
    for name, batch in batches.items():
        stack.wait_for(batch, "completed")
        assert stack.batch(batch)["children"]["completed"] == stack.batch(batch)["children"]["total"], name
    called = visits()
    assert {path: number for path, number in called.items() if "/ok/" in path and number != 1} == {}
    assert {path: number for path, number in called.items() if "/busy/" in path and number != 2} == {}


def retry(stack: Stack, batch: str) -> None:
    """Retry what failed; again while Temporal, which is busy, does not answer."""

    def is_accepted() -> bool:
        answer = stack.api("POST", f"/batches/{batch}/retry", {"status": "failed"})
        assert answer.is_success or answer.status_code == 503, answer.text
        return answer.is_success

    wait_until(is_accepted, f"the retry of {batch} is accepted")


def wait_until_kept(stack: Stack, batches: list[str]) -> None:
    """Wait until the dashboard has read where flows have stopped."""
    code = f"from dashboard.models import FlowStateRecord as F; print(F.objects.filter(batch__in={batches!r}).count())"

    def are_kept() -> bool:
        return stack.manage("shell", "-v0", "-c", code).split()[-1] == str(len(batches))

    wait_until(are_kept, "the states of flows are kept")


async def test_pages_of_a_batch_that_temporal_has_forgotten_work_or_say_why_not(
    stack: Stack, address: str, client: Client
) -> None:
    batch = stack.launch(
        processor="http_request", items=items_of(address, "pages"), plan={"item_attempts": 1, "summarise": True}
    )
    state = stack.wait_for(batch, "completed_with_failures")
    await forget_batch(client, batch)
    for action in ("cancel", "terminate", "pause", "resume"):
        refused = stack.api("POST", f"/batches/{batch}/{action}")
        assert refused.status_code == 409, refused.text
        assert "not running" in refused.text
    found = stack.api("GET", f"/batches/{batch}/diagnosis").json()["findings"]
    assert [each["code"] for each in found] == ["history_gone"]
    assert stack.api("GET", f"/batches/{batch}/reports").json()
    assert len(stack.api("GET", f"/batches/{batch}/items").json()["results"]) == 4
    assert stack.batch(batch)["status"] == state["status"]
    skipped = stack.api("POST", f"/batches/{batch}/operations", {"action": "skip", "status": "failed"}).json()
    assert (skipped["accepted"], stack.batch(batch)["children"]["skipped"]) == (2, 2)


async def test_a_batch_that_temporal_has_forgotten_is_rolled_back(stack: Stack, client: Client) -> None:
    at_once = {"seconds_from": 0, "seconds_to": 0}
    batch = stack.launch(processor="simulate", parameters=at_once, count=3, plan={"chunk_size": 1})
    stack.wait_for(batch, "completed")
    await forget_batch(client, batch)
    assert stack.api("POST", f"/batches/{batch}/rollback").status_code == 202
    stack.wait_for(batch, "rolled_back")


async def test_a_run_that_continued_keeps_its_identity_once_temporal_has_forgotten_how_it_began(
    stack: Stack, client: Client
) -> None:
    """Or the root would seem to run a second time, for a dashboard that starts after that."""
    plan = {"paged": True, "page_children": 10, "chunk_size": 1, "item_attempts": 1}
    at_once = {"seconds_from": 0, "seconds_to": 0}
    batch = stack.launch(processor="simulate", parameters=at_once, count=200, plan=plan)
    stack.wait_for(batch, "completed")
    (root,) = stack.nodes(batch, kind="root")
    query = f'WorkflowId = "batch-{batch}"'

    async def has_several() -> bool:
        return len(await listed(client, query)) > 2

    await until(has_several, "its runs are listed")
    newest = await Gateway(Connection(stack.temporal.address)).describe_run(f"batch-{batch}")
    assert newest is not None
    assert newest.run_id == root["run_id"] != newest.last_run_id

    async def are_forgotten() -> bool:
        others = [each for each in await listed(client, query) if each.run_id != newest.last_run_id]
        await forget(client, others)
        return not others

    await until(are_forgotten, "the others are deleted")
    again = await Gateway(Connection(stack.temporal.address)).describe_run(f"batch-{batch}")
    assert again is not None
    assert again.run_id == root["run_id"]
