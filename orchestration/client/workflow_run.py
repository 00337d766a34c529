"""RunSeen: one run of a workflow, as Temporal tells it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from orchestration.contracts.status import Failure, Status


@dataclass(frozen=True)
class WorkflowRun:
    """One run of a workflow as Temporal tells it; `parent` and `root` are workflow ids, the former empty for a root."""

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
