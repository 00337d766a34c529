"""CanopyPlugin: a worker of any team that adds it reports the starts and ends of its workflows to Canopy.

    Worker(client, task_queue="orders", workflows=[…], plugins=[CanopyPlugin("https://canopy.example", token)])

Neither the code nor the histories of its workflows change. Events that cannot be delivered, because the dashboard is
unreachable or slow, are dropped; the dashboard finds the changes itself, a little later.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from temporalio import workflow
from temporalio.exceptions import CancelledError, FailureError, is_cancelled_exception
from temporalio.plugin import SimplePlugin
from temporalio.worker import (
    ExecuteWorkflowInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from orchestration.contracts.status import Failure, Status
from orchestration.errors.failures import failure_of
from orchestration.remote.event_sender import EventSender
from orchestration.remote.wire import WorkflowEvent

EXTERN = "__canopy_tell"


class _ReportingInterceptor(WorkflowInboundInterceptor):
    """Reports the start and the end of a workflow, unless its history is only replayed."""

    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:  # noqa: A002  the SDK's name
        _report(workflow.info().workflow_start_time)
        try:
            result = await super().execute_workflow(input)
        except (asyncio.CancelledError, CancelledError):
            _report(workflow.now(), Status.CANCELED, Failure("Canceled", "Canceled."))
            raise
        except FailureError as error:
            status = Status.CANCELED if is_cancelled_exception(error) else Status.FAILED
            _report(workflow.now(), status, failure_of(error))
            raise
        _report(workflow.now(), Status.COMPLETED)
        return result


def _report(at: datetime, status: Status | None = None, failure: Failure | None = None) -> None:
    info = workflow.info()
    is_continued = info.continued_run_id is not None and info.attempt == 1 and not info.cron_schedule
    if workflow.unsafe.is_replaying() or (is_continued and status is None):
        return
    run_id = info.first_execution_run_id if is_continued else info.run_id
    event = WorkflowEvent(
        root=info.root.workflow_id if info.root is not None else info.workflow_id,
        root_run_id=info.root.run_id if info.root is not None else run_id,
        parent=info.parent.workflow_id if info.parent is not None else "",
        workflow_id=info.workflow_id,
        run_id=run_id,
        workflow_type=info.workflow_type,
        at=at,
        status=status,
        failure=failure,
    )
    with workflow.unsafe.sandbox_unrestricted():
        workflow.extern_functions()[EXTERN](event)


class _Interceptor(Interceptor):
    """Adds _ReportingInterceptor to every workflow of a worker."""

    def __init__(self, sender: EventSender) -> None:
        self._sender = sender

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: A002  the SDK's name
    ) -> type[WorkflowInboundInterceptor]:
        input.unsafe_extern_functions[EXTERN] = self._sender.send
        return _ReportingInterceptor


class CanopyPlugin(SimplePlugin):
    """Reports what the workflows of a worker do to the Canopy at an address.

    Takes the dashboard's address and an events API token. A parent whose child starts is watched from then on. One
    plugin may serve any number of workers, of a client's too.
    """

    def __init__(self, url: str, token: str) -> None:
        self.sender = EventSender(url, token)
        self._workers = 0
        super().__init__("canopy", interceptors=[_Interceptor(self.sender)], run_context=self._while_it_runs)

    @asynccontextmanager
    async def _while_it_runs(self) -> AsyncIterator[None]:
        self._workers += 1
        try:
            yield
        finally:
            self._workers -= 1
            if not self._workers:
                await asyncio.to_thread(self.sender.close)
