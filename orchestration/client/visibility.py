"""Visibility: its query language, and its executions as WorkflowRuns."""

from __future__ import annotations

from temporalio.api.workflow.v1 import WorkflowExecutionInfo

from orchestration.client.workflow_run import WorkflowRun
from orchestration.contracts.status import Status
from orchestration.contracts.workflow_ids import WorkflowTree
from orchestration.temporal.protobuf import to_datetime

NOT_CONTINUED = "ExecutionStatus != 'ContinuedAsNew'"

STATUSES = {
    "Running": Status.RUNNING,
    "Completed": Status.COMPLETED,
    "Failed": Status.FAILED,
    "Canceled": Status.CANCELED,
    "Terminated": Status.TERMINATED,
    "ContinuedAsNew": Status.COMPLETED,
    "TimedOut": Status.TIMED_OUT,
    "Paused": Status.RUNNING,
}
"""Ours by Temporal's execution statuses as visibility spells them, in the order of WorkflowExecutionStatus."""

STATUSES_BY_NUMBER = dict(enumerate(STATUSES.values(), start=1))
"""The same by the numbers of temporal.api.enums.v1.WorkflowExecutionStatus, which the RPCs use."""


def quoted(text: str) -> str:
    """Return a text as a string literal of the query language."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def tree_query(tree: WorkflowTree) -> str:
    """Return the query that finds all runs of a tree."""
    since = f' AND StartTime >= "{tree.since.isoformat()}"' if tree.since is not None else ""
    return f"RootWorkflowId = {quoted(tree.root)}{since}"


def run_of(info: WorkflowExecutionInfo) -> WorkflowRun:
    """Return an execution as a WorkflowRun, without its failure."""
    return WorkflowRun(
        workflow_id=info.execution.workflow_id,
        run_id=info.execution.run_id,
        status=STATUSES_BY_NUMBER[info.status],
        started_at=to_datetime(info.start_time),
        closed_at=to_datetime(info.close_time) if info.HasField("close_time") else None,
        workflow_type=info.type.name,
        parent=info.parent_execution.workflow_id,
        root=info.root_execution.workflow_id,
        task_queue=info.task_queue,
    )
