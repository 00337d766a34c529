"""CanopyPlugin: a worker of any team that adds it tells Canopy what its parents and children do, as they do it.

    Worker(client, task_queue="orders", workflows=[…], plugins=[CanopyPlugin("https://canopy.example", token)])

Nothing of its workflows changes: neither their code nor their histories. What cannot be told, because the dashboard is
away or slow, is dropped: the dashboard finds it out by itself, a little later.
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
from orchestration.remote.event_sender import Teller
from orchestration.remote.wire import Told

EXTERN = "__canopy_tell"


class _Telling(WorkflowInboundInterceptor):
    """Tells of the start and the end of a workflow, unless history is only replayed."""

    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:  # noqa: A002  the SDK's name
        _tell(workflow.info().workflow_start_time)
        try:
            result = await super().execute_workflow(input)
        except (asyncio.CancelledError, CancelledError):
            _tell(workflow.now(), Status.CANCELED, Failure("Canceled", "Canceled."))
            raise
        except FailureError as error:
            status = Status.CANCELED if is_cancelled_exception(error) else Status.FAILED
            _tell(workflow.now(), status, failure_of(error))
            raise
        _tell(workflow.now(), Status.COMPLETED)
        return result


def _tell(at: datetime, status: Status | None = None, failure: Failure | None = None) -> None:
    info = workflow.info()
    goes_on = info.continued_run_id is not None and info.attempt == 1 and not info.cron_schedule
    if workflow.unsafe.is_replaying() or (goes_on and status is None):
        return
    told = Told(
        root=info.root.workflow_id if info.root is not None else info.workflow_id,
        root_run_id=info.root.run_id if info.root is not None else info.first_execution_run_id,
        parent=info.parent.workflow_id if info.parent is not None else "",
        workflow_id=info.workflow_id,
        run_id=info.first_execution_run_id if goes_on else info.run_id,
        workflow_type=info.workflow_type,
        at=at,
        status=status,
        failure=failure,
    )
    with workflow.unsafe.sandbox_unrestricted():
        workflow.extern_functions()[EXTERN](told)


class _Interceptor(Interceptor):
    """Puts _Telling around every workflow of a worker."""

    def __init__(self, teller: Teller) -> None:
        self._teller = teller

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: A002  the SDK's name
    ) -> type[WorkflowInboundInterceptor]:
        input.unsafe_extern_functions[EXTERN] = self._teller.tell
        return _Telling


class CanopyPlugin(SimplePlugin):
    """Tells the Canopy at an address what the workflows of a worker do.

    Takes the dashboard's address and an operator's API token. A parent whose child starts is watched from then on. One
    plugin may serve any number of workers, of a client's too.
    """

    def __init__(self, url: str, token: str) -> None:
        self.teller = Teller(url, token)
        self._workers = 0
        super().__init__("canopy", interceptors=[_Interceptor(self.teller)], run_context=self._while_it_runs)

    @asynccontextmanager
    async def _while_it_runs(self) -> AsyncIterator[None]:
        self._workers += 1
        try:
            yield
        finally:
            self._workers -= 1
            if not self._workers:
                await asyncio.to_thread(self.teller.close)
