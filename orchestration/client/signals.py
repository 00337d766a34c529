"""Signals with an id of their own: Temporal delivers one of an id once, and its event names it."""

from __future__ import annotations

from typing import Any

from temporalio.api.common.v1 import Payloads, WorkflowExecution
from temporalio.api.workflowservice.v1 import SignalWorkflowExecutionRequest
from temporalio.client import Client

from orchestration.contracts.messages import ChildrenAnswer
from orchestration.temporal.commands import identity_of
from orchestration.temporal.connection import RPC_TIMEOUT

OPTIONAL_ANSWER: Any = ChildrenAnswer | None
"""Type of the answer to ANSWER_QUERY, as the SDK takes it."""


async def send_signal(client: Client, workflow_id: str, signal: str, *arguments: object, mark: str) -> None:
    """Send a signal to a workflow's open run, once for a mark. Raises RPCError."""
    request = SignalWorkflowExecutionRequest(
        namespace=client.namespace,
        workflow_execution=WorkflowExecution(workflow_id=workflow_id),
        signal_name=signal,
        input=Payloads(payloads=await client.data_converter.encode(arguments)) if arguments else None,
        identity=identity_of(mark),
        request_id=mark,
    )
    await client.workflow_service.signal_workflow_execution(request, retry=True, timeout=RPC_TIMEOUT)
