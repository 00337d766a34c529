"""ServicesWorkflow: different services at the same time, their results combined by name; and the service of our own."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError
from temporalio.workflow import ChildWorkflowCancellationType

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.events import EventKind, NodeKind, Place
    from orchestration.contracts.flows import FlowInput, ServiceInput
    from orchestration.contracts.names import SERVICE_WORKFLOW
    from orchestration.contracts.status import Status
    from orchestration.definitions.models import Service, Services, Work
    from orchestration.engine.flows.flow import FlowParent, brief
    from orchestration.engine.flows.resumable import RetriedFlow
    from orchestration.errors.failures import outcome_of


@workflow.defn
class ServicesWorkflow(RetriedFlow):
    """Run every service as a child of its own type on its own queue, and return what each answered, by name.

    Signals, update, queries: RetriedFlow's. A service that fails or is too late is missing alone; the root fails when
    any did, after all have closed, and says which. Started again to retry it asks those that were missing.
    """

    @workflow.init
    def __init__(self, given: FlowInput) -> None:
        super().__init__(given)
        self._services = Services.model_validate(given.definition).services

    @workflow.run
    async def run(self, given: FlowInput) -> dict[str, Any]:
        """Return the results by service."""
        return await self.perform(self._flow)

    @property
    def planned(self) -> int:
        """The number of services."""
        return len(self._services)

    async def _flow(self) -> dict[str, Any]:
        if self.given.is_retry:
            await self.await_retry()
        answers = await asyncio.gather(*(self._ask(number, each) for number, each in enumerate(self._services)))
        missing = [service.name for service, (ok, _) in zip(self._services, answers, strict=True) if not ok]
        if missing:
            raise ApplicationError(f"No answer from {', '.join(missing)}.", type="ServicesMissing", non_retryable=True)
        return {service.name: value for service, (_, value) in zip(self._services, answers, strict=True)}

    async def _ask(self, position: int, service: Service) -> tuple[bool, Any]:
        """Return whether a service answered, and what."""
        await workflow.wait_condition(lambda: not self._paused)
        node, root = self.node(service.name), workflow.info().workflow_id
        if node in self.done:
            return True, self.done[node]
        is_ours = service.workflow_type == SERVICE_WORKFLOW
        work = (
            Work(processor=service.processor, parameters=service.parameters, input=service.input) if is_ours else None
        )
        handle = await workflow.start_child_workflow(
            service.workflow_type,
            ServiceInput(self.given.batch_id, self.given.plan, service.name, work.model_dump())
            if work
            else service.input,
            id=node,
            task_queue=service.task_queue,
            execution_timeout=timedelta(seconds=service.timeout),
            cancellation_type=ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
            static_summary=service.name,
        )
        run_id = handle.first_execution_run_id or ""
        place = Place(root, NodeKind.SERVICE, service.name, position)
        self.outbox.put(EventKind.STARTED, node, run_id, place=place)
        self.running += 1
        outcome, failure, answer = Status.COMPLETED, None, None
        try:
            answer = await handle
        except FailureError as error:
            outcome, failure = outcome_of(error)
        else:
            self.done[node] = answer
        self.running -= 1
        self.counts.add(outcome)
        self.outbox.put(EventKind.CLOSED, node, run_id, outcome=outcome, failure=failure, note=brief(answer))
        return outcome is Status.COMPLETED, answer


@workflow.defn
class ServiceWorkflow(FlowParent):
    """A service that is one processor over one input: for services without a workflow type of their own."""

    @workflow.init
    def __init__(self, given: ServiceInput) -> None:
        super().__init__(FlowInput(given.batch_id, given.plan, 0, {}))

    @workflow.run
    async def run(self, given: ServiceInput) -> Any:
        """Return the processor's result."""
        return await self.act(given.name, Work.model_validate(given.work), {})
