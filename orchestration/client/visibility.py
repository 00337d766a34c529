"""Visibility: its query language, and its executions as WorkflowRuns."""

from __future__ import annotations

import re

from temporalio.api.workflow.v1 import WorkflowExecutionInfo

from orchestration.client.workflow_run import WorkflowRun
from orchestration.contracts.status import Status
from orchestration.contracts.workflow_ids import WorkflowTree
from orchestration.temporal.protobuf import to_datetime

NOT_CONTINUED = "ExecutionStatus != 'ContinuedAsNew'"
IS_OPEN = "CloseTime IS NULL"
"""Finds also workflows that the server has paused, whose status older servers do not know."""

REPORTED_PROBLEMS = "TemporalReportedProblems IS NOT NULL"
"""Finds workflows whose tasks fail again and again. A server before 1.30 refuses the query."""

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


UNWRITABLE = re.compile(r'[\x00\x08\t\n\r\x1a"\\]')
"""Characters that Temporal compares as they are written in a query, escaped, and so with no id."""


def quoted(text: str) -> str:
    """Return a text without UNWRITABLE characters as a string literal of the query language."""
    escaped = text.replace("'", "\\'")
    return f"'{escaped}'"


def has_id(attribute: str, workflow_id: str) -> str:
    """Return the condition that an attribute is a workflow id.

    The query language has no way to write some characters: it finds each id that is the same up to the first of them
    (`is_exact`).
    """
    beginning = UNWRITABLE.split(workflow_id, maxsplit=1)[0]
    if beginning == workflow_id:
        return f"{attribute} = {quoted(workflow_id)}"
    return f"{attribute} STARTS_WITH {quoted(beginning)}" if beginning else f"{attribute} IS NOT NULL"


def is_exact(workflow_id: str) -> bool:
    """Whether `has_id` finds this id alone."""
    return not UNWRITABLE.search(workflow_id)


def is_of(run: WorkflowRun, tree: WorkflowTree) -> bool:
    """Whether a run that a query of the tree has found is of this tree."""
    return (run.root or run.workflow_id) == tree.root


def tree_query(tree: WorkflowTree) -> str:
    """Return the query that finds all runs of a tree, and of those that `has_id` cannot tell from it."""
    since = f' AND StartTime >= "{tree.since.isoformat()}"' if tree.since is not None else ""
    return f"{has_id('RootWorkflowId', tree.root)}{since}"


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
