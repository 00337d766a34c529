"""What came of commands that Temporal did not answer: found by the id of an update, or by what stands in a history."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionResponse,
    GetWorkflowExecutionHistoryReverseRequest,
)
from temporalio.client import (
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.service import RPCError, RPCStatusCode

from orchestration.client.describing import describe
from orchestration.client.reader import TemporalReader
from orchestration.client.signals import OPTIONAL_ANSWER
from orchestration.client.visibility import has_id
from orchestration.contracts.messages import ChildrenAnswer
from orchestration.contracts.names import ANSWER_QUERY
from orchestration.temporal.commands import Inquiry, InquiryKind, identity_of
from orchestration.temporal.connection import RPC_TIMEOUT, unavailable
from orchestration.temporal.protobuf import to_datetime

COMMAND_MEMO = "canopy_command"
"""Name in a run's memo of the command that started it."""

IN_FLIGHT = timedelta(seconds=20)
"""A request that Temporal has not got by then, four times its deadline, it never gets."""

CLOCKS = timedelta(minutes=5)
"""By how much the clocks of hosts may differ."""

PAGE = 250
PAGES = 100
"""Of a history that are read back; a run has at most 51,200 events."""

NOT_CARRIED_OUT = "Temporal did not carry it out."
FORGOTTEN = "Temporal no longer has the history that would tell whether it was carried out."

SHORTEST_RETENTION = timedelta(days=1)
"""Of a namespace: for so long a closed run is known."""


@dataclass(frozen=True)
class Reply:
    """What came of a command: done, with the answer of an update, or not, and why."""

    done: bool
    answer: ChildrenAnswer = field(default_factory=ChildrenAnswer)
    reason: str = ""


async def look_up(reader: TemporalReader, inquiry: Inquiry, sent_at: datetime) -> Reply | None:
    """Return what came of a command that was sent at a time; None where it may still be done.

    Raises TemporalUnavailable.
    """
    is_pending, is_known = False, False
    async for run_id in _runs(reader, inquiry.workflow_id, sent_at):
        is_known = True
        reply, may_come = await _FINDERS[inquiry.kind](reader, inquiry, run_id, sent_at)
        if reply is not None:
            return reply
        is_pending |= may_come
    if is_pending or datetime.now(UTC) - sent_at < IN_FLIGHT:
        return None
    is_forgotten = not is_known and datetime.now(UTC) - sent_at > SHORTEST_RETENTION
    reason = FORGOTTEN if is_forgotten else NOT_CARRIED_OUT
    return Reply(False, ChildrenAnswer(refused=dict.fromkeys(inquiry.children, reason)), reason)


async def _runs(reader: TemporalReader, workflow_id: str, sent_at: datetime) -> AsyncIterator[str]:
    """Yield the ids of a workflow's runs that were open at a time or since, newest first."""
    newest = await _describe(reader, workflow_id)
    if newest is None:
        return
    found = newest.workflow_execution_info.execution.run_id
    yield found
    async for run in reader.list_runs(has_id("WorkflowId", workflow_id)):
        if (
            run.workflow_id == workflow_id
            and run.run_id != found
            and (run.closed_at is None or run.closed_at > sent_at - CLOCKS)
        ):
            yield run.run_id


async def _describe(
    reader: TemporalReader, workflow_id: str, run_id: str = ""
) -> DescribeWorkflowExecutionResponse | None:
    with unavailable():
        return await describe(await reader.client(), workflow_id, run_id)


Found = tuple[Reply | None, bool]
"""A reply, or whether the run may still show one."""


async def _update(reader: TemporalReader, inquiry: Inquiry, run_id: str, sent_at: datetime) -> Found:
    handle = (await reader.client()).get_workflow_handle(inquiry.workflow_id, run_id=run_id)
    update = handle.get_update_handle(inquiry.mark, workflow_run_id=run_id, result_type=ChildrenAnswer)
    with unavailable():
        try:
            with suppress(WorkflowUpdateRPCTimeoutOrCancelledError):
                return Reply(True, await update.result(rpc_timeout=RPC_TIMEOUT)), False
        except WorkflowUpdateFailedError as error:
            reason = str(error.cause or error)
            return Reply(False, ChildrenAnswer(refused=dict.fromkeys(inquiry.children, reason)), reason), False
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None, False
            raise
    return None, True


async def _answer(reader: TemporalReader, inquiry: Inquiry, run_id: str, sent_at: datetime) -> Found:
    handle = (await reader.client()).get_workflow_handle(inquiry.workflow_id, run_id=run_id)
    with unavailable():
        try:
            answer = await handle.query(
                ANSWER_QUERY, inquiry.mark, result_type=OPTIONAL_ANSWER, rpc_timeout=RPC_TIMEOUT
            )
        except (WorkflowQueryFailedError, WorkflowQueryRejectedError):
            return await _event(reader, inquiry, run_id, sent_at)
    return (Reply(True, answer), False) if answer is not None else (None, False)


async def _event(reader: TemporalReader, inquiry: Inquiry, run_id: str, sent_at: datetime) -> Found:
    """Find an event by the identity of the command. One that comes during a workflow task is written after that."""
    described = await _describe(reader, inquiry.workflow_id, run_id)
    if described is None:
        return None, False
    async for event in _events_back(reader, inquiry.workflow_id, run_id, sent_at - CLOCKS):
        if _identity(event) == identity_of(inquiry.mark):
            return Reply(True), False
    is_open = not described.workflow_execution_info.HasField("close_time")
    task = described.pending_workflow_task
    return None, is_open and task.HasField("started_time")


async def _events_back(
    reader: TemporalReader, workflow_id: str, run_id: str, until: datetime
) -> AsyncIterator[HistoryEvent]:
    """Yield the events of a run since a time, newest first."""
    client, token = await reader.client(), b""
    for _ in range(PAGES):
        request = GetWorkflowExecutionHistoryReverseRequest(
            namespace=client.namespace,
            execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
            maximum_page_size=PAGE,
            next_page_token=token,
        )
        with unavailable():
            page = await client.workflow_service.get_workflow_execution_history_reverse(request, timeout=RPC_TIMEOUT)
        for event in page.history.events:
            if to_datetime(event.event_time) < until:
                return
            yield event
        token = page.next_page_token
        if not token:
            return


def _identity(event: HistoryEvent) -> str:
    attributes = getattr(event, event.WhichOneof("attributes") or "", None)
    return str(getattr(attributes, "identity", ""))


async def _start(reader: TemporalReader, inquiry: Inquiry, run_id: str, sent_at: datetime) -> Found:
    client = await reader.client()
    described = await _describe(reader, inquiry.workflow_id, run_id)
    memo = described.workflow_execution_info.memo.fields if described is not None else {}
    if COMMAND_MEMO not in memo:
        return None, False
    (mark,) = await client.data_converter.decode([memo[COMMAND_MEMO]])
    return (Reply(True), False) if mark == inquiry.mark else (None, False)


async def _reset(reader: TemporalReader, inquiry: Inquiry, run_id: str, sent_at: datetime) -> Found:
    newest = await reader.describe_run(inquiry.workflow_id)
    is_newer = newest is not None and newest.run_id != inquiry.mark and newest.started_at > sent_at - CLOCKS
    return (Reply(True, ChildrenAnswer(accepted=inquiry.children)), False) if is_newer else (None, False)


_FINDERS = {
    InquiryKind.UPDATE: _update,
    InquiryKind.ANSWER: _answer,
    InquiryKind.EVENT: _event,
    InquiryKind.START: _start,
    InquiryKind.RESET: _reset,
}
