"""The diagnosis looks at every depth: a workflow that fails its task is found from each workflow above it."""

from __future__ import annotations

from functools import partial
from secrets import token_hex

from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker
from temporalio.workflow import ParentClosePolicy

from orchestration.diagnosis.findings import FindingCode
from orchestration.gateway import Gateway
from orchestration.temporal.connection import Connection
from tests.support.stack import TemporalServer
from tests.support.waiting import until


@workflow.defn(name="Top")
class Top:
    """A workflow of somebody else, with one below it, and another one below that if it is not the last."""

    @workflow.run
    async def run(self, level: int) -> None:
        """Wait for what is below, or at the first level leave it behind."""
        below = "Broken" if level == 1 else "Top"
        args = [] if level == 1 else [level - 1]
        await workflow.start_child_workflow(
            below, args=args, id=f"{workflow.info().workflow_id}/{below}", parent_close_policy=ParentClosePolicy.ABANDON
        )
        await workflow.wait_condition(lambda: False)


@workflow.defn(name="Broken")
class Broken:
    """A workflow with a fault in its code."""

    @workflow.run
    async def run(self) -> None:
        """Raise what fails the workflow task, not the workflow."""
        raise KeyError("a fault further down")


async def test_a_workflow_task_that_fails_further_down(
    temporal_server: TemporalServer, temporal_client: Client
) -> None:
    gateway, queue = Gateway(Connection(temporal_server.address)), f"queue-{token_hex(4)}"
    top = f'top-{token_hex(4)}-"a\tb"'  # characters that a query cannot write
    async with Worker(
        temporal_client, task_queue=queue, workflows=[Top, Broken], workflow_runner=UnsandboxedWorkflowRunner()
    ):
        await temporal_client.start_workflow("Top", 3, id=top, task_queue=queue)

        async def named(above: str) -> list[str]:
            findings = await gateway.diagnose("", above)
            return [each.subject for each in findings if each.code is FindingCode.WORKFLOW_TASK_FAILS]

        broken = f"{top}/Top/Top/Broken"
        for above in (top, f"{top}/Top", broken):
            assert await until(partial(named, above), f"it is found below {above}") == [broken]
        await gateway.terminate(top, "test")
        assert await until(partial(named, top), "it is open below a root that has closed") == [broken]
        for left in (f"{top}/Top", f"{top}/Top/Top", broken):
            await gateway.terminate(left, "test")
