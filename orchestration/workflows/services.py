"""ServicesWorkflow: different services at the same time, results combined by name; and Canopy's own ServiceWorkflow."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError
from temporalio.workflow import ChildWorkflowCancellationType, ChildWorkflowHandle

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.carried import whole
    from orchestration.contracts.events import NodeKind, Place
    from orchestration.contracts.flows import AnswerInput, FlowInput, ServiceInput
    from orchestration.contracts.names import SERVICE_WORKFLOW
    from orchestration.contracts.step_results import result_note
    from orchestration.definitions.models import Service, Services
    from orchestration.definitions.parts import Work
    from orchestration.engine.cancellation import clean_up
    from orchestration.engine.child_handles import may_wait_for_id, start_when_id_is_free
    from orchestration.engine.flows.flow import FlowParent
    from orchestration.engine.flows.resumable import ResumableFlow
    from orchestration.temporal.deployment import FOLLOWS_CURRENT


@workflow.defn(versioning_behavior=FOLLOWS_CURRENT)
class ServicesWorkflow(ResumableFlow):
    """Run every service as a child of its own type on its own queue, and return what each answered, by name.

    Signals, update, queries: ResumableFlow's. A service that fails or times out does not stop the others; the root
    fails once all have closed, and names those without an answer. Started again to retry it runs only those.
    """

    @workflow.init
    def __init__(self, given: FlowInput) -> None:
        super().__init__(given)
        self._services = Services.model_validate(whole(given.definition)).services

    @workflow.run
    async def run(self, given: FlowInput) -> dict[str, Any]:
        """Return the results by service."""
        return await self.run_flow(self._flow)

    @property
    def planned(self) -> int:
        """The number of services."""
        return len(self._services)

    async def _flow(self) -> dict[str, Any]:
        if self.given.is_retry:
            await self.await_retry()
        tasks = [asyncio.create_task(self._run_service(number, each)) for number, each in enumerate(self._services)]
        try:
            answers = await asyncio.gather(*tasks)
        except asyncio.CancelledError:
            await clean_up(workflow.wait_condition(lambda: all(task.done() for task in tasks)), lambda: None)
            raise
        missing = [service.name for service, (ok, _) in zip(self._services, answers, strict=True) if not ok]
        if missing:
            raise ApplicationError(
                f"No response from {', '.join(missing)}.", type="ServicesMissing", non_retryable=True
            )
        return {service.name: value for service, (_, value) in zip(self._services, answers, strict=True)}

    async def _run_service(self, position: int, service: Service) -> tuple[bool, Any]:
        """Return whether a service answered, and what."""
        await self.may_start()
        node, root = self.node_id(service.name), workflow.info().workflow_id
        if node in self.done:
            return True, self.done[node]
        try:
            handle = await start_when_id_is_free(partial(self._start, node, service), self._may_try_again)
            with self.node_run() as run:
                run.started(node, handle.first_execution_run_id, Place(root, NodeKind.SERVICE, service.name, position))
                given = AnswerInput(self.given.batch_id, service.name, node, handle.first_execution_run_id or "", node)
                self.done[node] = answer = await self.kept_results.answer_of(given, await handle)
                run.note = result_note(answer)
        except FailureError:
            return False, None
        return True, answer

    async def _may_try_again(self, tries: int) -> bool:
        """Wait while a service's id is taken, and while the flow is paused; return whether another try makes sense."""
        may_try = await may_wait_for_id(tries)
        await self.may_start()
        return may_try

    async def _start(self, node: str, service: Service) -> ChildWorkflowHandle[Any, Any]:
        return await workflow.start_child_workflow(
            service.workflow_type,
            self._input_of(service),
            id=node,
            task_queue=service.task_queue,
            execution_timeout=timedelta(seconds=service.timeout),
            cancellation_type=ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
            static_summary=service.name,
        )

    def _input_of(self, service: Service) -> Any:
        """Return what a service is started with: its own input; for Canopy's own type, the processor with its input."""
        if service.workflow_type != SERVICE_WORKFLOW:
            return service.input
        work = Work(processor=service.processor, parameters=service.parameters, input=service.input)
        return ServiceInput(self.given.batch_id, self.given.plan, service.name, work.model_dump())


@workflow.defn
class ServiceWorkflow(FlowParent):
    """A service that is one processor over one input: for services without a workflow type of their own."""

    @workflow.init
    def __init__(self, given: ServiceInput) -> None:
        super().__init__(FlowInput(given.batch_id, given.plan, 0, {}))

    @workflow.run
    async def run(self, given: ServiceInput) -> Any:
        """Return the processor's result."""
        row = workflow.info().workflow_id
        return await self.run_processor(given.name, Work.model_validate(given.work), {}, row=row)
