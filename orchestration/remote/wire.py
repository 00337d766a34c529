"""Paths and bodies of the API that remote workers use."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter

from orchestration.contracts.chunks import BegunItems, ChunkInput, ChunkNote, ChunkWork, ItemResult
from orchestration.contracts.status import Failure, Status

EVENTS_PATH = "/api/v1/watches/events"


@dataclass(frozen=True)
class WorkflowEvent:
    """The start of a workflow run, or with a `status` its end. `parent` is a workflow id, empty for a root."""

    root: str
    root_run_id: str
    parent: str
    workflow_id: str
    run_id: str
    workflow_type: str
    at: datetime
    status: Status | None = None
    failure: Failure | None = None


EVENTS = TypeAdapter(list[WorkflowEvent])
WORK = TypeAdapter(ChunkWork)
CHUNK = TypeAdapter(ChunkInput)
NOTE = TypeAdapter(ChunkNote)
BEGUN = TypeAdapter(BegunItems)
ENDS = TypeAdapter(list[int])
RESULTS = TypeAdapter(list[ItemResult])

READ_PATH = "/api/v1/worker/chunks/read"
NOTE_PATH = "/api/v1/worker/notes"
RESULTS_PATH = "/api/v1/worker/results"
BEGUN_PATH = "/api/v1/worker/begun"
FORGET_PATH = "/api/v1/worker/begun/forget"

STEP_RESULTS_PATH = "/api/v1/worker/step-results"
UPLOADS_PATH = "/api/v1/worker/uploads"

FINAL = (409, 413, 415, 422)
"""Statuses that are about the call itself. With any other the dashboard, or what stands before it, is away for now."""
