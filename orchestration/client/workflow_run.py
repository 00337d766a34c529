"""One run of a workflow, as Temporal describes it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from orchestration.contracts.status import Failure, Status


@dataclass(frozen=True)
class WorkflowRun:
    """One run of a workflow. `parent` and `root` are workflow ids; a root has no parent ("").

    `last_run_id` is that of the newest run where several count as this one; "" where that is not known.
    """

    workflow_id: str
    run_id: str
    status: Status
    started_at: datetime
    closed_at: datetime | None = None
    failure: Failure | None = None
    workflow_type: str = ""
    parent: str = ""
    root: str = ""
    task_queue: str = ""
    last_run_id: str = ""
