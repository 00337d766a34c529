"""Single executions, the chains of runs that they form, and why they ended.

A workflow id has one run after another: continued as new, retried by its own policy, reset, or started again. A run
that its workflow continued counts as one attempt with the run before it; every other one is an attempt of its own.

Uses the raw RPCs: SDK 1.35 raises ValueError on a workflow that the server has paused.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import ContinueAsNewInitiator, HistoryEventFilterType, WorkflowExecutionStatus
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryRequest
from temporalio.client import Client
from temporalio.exceptions import CancelledError, TerminatedError, TimeoutType
from temporalio.exceptions import TimeoutError as TemporalTimeoutError
from temporalio.service import RPCError, RPCStatusCode

from orchestration.client.describing import describe
from orchestration.client.visibility import run_of
from orchestration.client.workflow_run import WorkflowRun
from orchestration.contracts.status import Failure
from orchestration.errors.failures import failure_of
from orchestration.temporal.connection import (
    RPC_TIMEOUT,
    WITHIN_RPC_TIMEOUT,
    Connection,
    TemporalUnavailable,
    connect,
    let_in,
    unavailable,
)
from orchestration.temporal.protobuf import to_datetime
from orchestration.temporal.renewal import Renewal
from orchestration.temporal.runtime import runtime

log = logging.getLogger(__name__)

FIRST_EVENTS = 100
"""A run's first completed workflow task is among them."""

ATTEMPTS_KNOWN = 20_000
"""Runs whose place in a chain is kept in memory: it never changes."""

AT_ONCE = 20
"""Concurrent requests of one listing."""

CONTINUED_BY_WORKFLOW = ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_WORKFLOW
CONTINUED_AS_NEW = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW

UNREADABLE = "Its failure cannot be read: {error}"


class ExecutionReader:
    """Reads single executions, over one connection that is made when it is first needed."""

    def __init__(self, connection: Connection) -> None:
        self._renewal = Renewal(connection)
        self._client: Client | None = None
        self._attempts = OrderedDict[str, tuple[str, datetime]]()

    async def client(self) -> Client:
        """Return the client, with the credentials of now. Raises TemporalUnavailable where it never connected."""
        if self._client is None:
            with unavailable(), let_in(self._renewal.connection):
                async with asyncio.timeout(RPC_TIMEOUT.total_seconds()):
                    self._client = await connect(
                        await self._renewal.latest(), runtime=runtime(), retry=WITHIN_RPC_TIMEOUT
                    )
        elif self._renewal.is_due():
            self._client = await self._renewal.renewed(self._client)
        return self._client

    async def describe_run(self, workflow_id: str, run_id: str = "") -> WorkflowRun | None:
        """Return a run (the newest, when none is named) with its failure, or None when Temporal knows none.

        Runs that the workflow continued as new count as one, with the id and start of the first.
        """
        info = await self._describe(workflow_id, run_id)
        while info is not None and info.status == CONTINUED_AS_NEW:
            info = await self._describe(workflow_id, await self._next_run(workflow_id, info.execution.run_id))
        if info is None:
            return None
        run = await self.as_attempt(run_of(info))
        failure = await self.failure_of(workflow_id, run.last_run_id) if run.status.is_retryable else None
        return replace(run, failure=failure)

    async def has_run(self, workflow_id: str, run_id: str) -> bool:
        """Whether Temporal has started this run of a workflow. Raises TemporalUnavailable."""
        try:
            UUID(run_id)
        except ValueError:
            return False
        return await self._describe(workflow_id, run_id) is not None

    async def as_attempt(self, run: WorkflowRun) -> WorkflowRun:
        """Return a run with the id and start of the first run of which it is the continuation, or of itself."""
        first, started_at = await self._first_run(run)
        return replace(run, run_id=first, started_at=started_at, last_run_id=run.last_run_id or run.run_id)

    async def _first_run(self, run: WorkflowRun) -> tuple[str, datetime]:
        """Follow a run back to the one that began its attempt.

        Temporal's first_run_id spans retries, resets and the runs of a cron, too, which are no continuations: what
        initiated a run stands in its first event, which a reset copies from the run that it resets. Where Temporal has
        forgotten the run before, the first_run_id of the one after it is the best that is known.
        """
        run_id, started_at, passed, chain = run.run_id, run.started_at, list[str](), ""
        while run_id not in self._attempts:
            passed.append(run_id)
            events = await self._events(run.workflow_id, run_id, page_size=1)
            if not events:
                passed.append(run_id := chain or run_id)
                break
            started_at = to_datetime(events[0].event_time)
            started = events[0].workflow_execution_started_event_attributes
            is_reset = started.original_execution_run_id not in ("", run_id)
            if is_reset or started.initiator != CONTINUED_BY_WORKFLOW or not started.continued_execution_run_id:
                break
            run_id, chain = started.continued_execution_run_id, started.first_execution_run_id
        found = self._attempts.get(run_id)
        if found is None:
            found = passed[-1], run.started_at if passed[-1] == run.run_id else started_at
        for each in passed:
            self._attempts[each] = found
        while len(self._attempts) > ATTEMPTS_KNOWN:
            self._attempts.popitem(last=False)
        return found

    async def as_attempts(self, runs: Sequence[WorkflowRun]) -> AsyncIterator[WorkflowRun]:
        """Yield runs as attempts, several at once being looked up; one that cannot be followed is left as it is."""
        places = asyncio.Semaphore(AT_ONCE)

        async def one(run: WorkflowRun) -> WorkflowRun:
            async with places:
                try:
                    return await self.as_attempt(run)
                except RPCError as error:
                    log.warning("%s, run %s, cannot be followed back: %s", run.workflow_id, run.run_id, error)
                    return run

        for run in await asyncio.gather(*(one(run) for run in runs)):
            yield run

    async def _describe(self, workflow_id: str, run_id: str) -> WorkflowExecutionInfo | None:
        client = await self.client()
        with unavailable():
            answer = await describe(client, workflow_id, run_id)
        return answer.workflow_execution_info if answer is not None else None

    async def _next_run(self, workflow_id: str, run_id: str) -> str:
        """Return the id of the run that continued another one as new."""
        last = await self._close_event(workflow_id, run_id)
        return (
            "" if last is None else str(last.workflow_execution_continued_as_new_event_attributes.new_execution_run_id)
        )

    async def events(self, workflow_id: str, run_id: str) -> Sequence[HistoryEvent]:
        """Return the first events of a run's history; none where Temporal no longer has it."""
        return await self._events(workflow_id, run_id)

    async def _close_event(self, workflow_id: str, run_id: str) -> HistoryEvent | None:
        events = await self._events(workflow_id, run_id, wanted="CLOSE_EVENT")
        return events[-1] if events else None

    async def _events(
        self, workflow_id: str, run_id: str, *, wanted: str = "ALL_EVENT", page_size: int = FIRST_EVENTS
    ) -> Sequence[HistoryEvent]:
        client = await self.client()
        with unavailable():
            try:
                answer = await client.workflow_service.get_workflow_execution_history(
                    GetWorkflowExecutionHistoryRequest(
                        namespace=client.namespace,
                        execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
                        history_event_filter_type=HistoryEventFilterType.Value(f"HISTORY_EVENT_FILTER_TYPE_{wanted}"),
                        maximum_page_size=page_size,
                    ),
                    timeout=RPC_TIMEOUT,
                )
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    return []
                raise
        return answer.history.events

    async def failure_of(self, workflow_id: str, run_id: str) -> Failure | None:
        """Return why a closed run did not complete, or None when it did or Temporal no longer has it.

        A run whose own policy retries it has its failure in an event that says that it was continued.
        """
        try:
            last = await self._close_event(workflow_id, run_id)
            error = None if last is None else await self._error_in(last)
        except TemporalUnavailable:
            raise
        except Exception as problem:  # refused, or a codec that does not fit: the run has ended all the same
            log.warning("The failure of %s, run %s, cannot be read.", workflow_id, run_id, exc_info=True)
            return Failure(type(problem).__name__, UNREADABLE.format(error=problem))
        return None if error is None else failure_of(error)

    async def _error_in(self, last: HistoryEvent) -> BaseException | None:
        converter = (await self.client()).data_converter
        if last.HasField("workflow_execution_timed_out_event_attributes"):
            return TemporalTimeoutError(
                "Workflow timed out", type=TimeoutType.START_TO_CLOSE, last_heartbeat_details=[]
            )
        if last.HasField("workflow_execution_canceled_event_attributes"):
            return CancelledError("Workflow canceled")
        if last.HasField("workflow_execution_terminated_event_attributes"):
            return TerminatedError(last.workflow_execution_terminated_event_attributes.reason or "Workflow terminated")
        failed, continued = (
            last.workflow_execution_failed_event_attributes,
            last.workflow_execution_continued_as_new_event_attributes,
        )
        for attributes in (failed, continued):
            if attributes.HasField("failure"):
                return await converter.decode_failure(attributes.failure)
        return None
