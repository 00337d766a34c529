"""Describing one workflow by the raw RPC: the SDK's own description leaves out what is pending."""

from __future__ import annotations

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest, DescribeWorkflowExecutionResponse
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from orchestration.temporal.connection import RPC_TIMEOUT


async def describe(client: Client, workflow_id: str, run_id: str = "") -> DescribeWorkflowExecutionResponse | None:
    """Return the description of a run, by default the newest; None where Temporal knows none. Raises RPCError."""
    request = DescribeWorkflowExecutionRequest(
        namespace=client.namespace, execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id)
    )
    try:
        return await client.workflow_service.describe_workflow_execution(request, timeout=RPC_TIMEOUT)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
