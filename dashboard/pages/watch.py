"""Context of the page that watches an external workflow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestration.client.workflow_run import WorkflowRun


@dataclass(frozen=True)
class WatchPage:
    """Context of the page. `parents` match the search; `unavailable` is why Temporal could not list them."""

    workflow_id: str
    error: str
    search: str
    parents: Sequence[WorkflowRun]
    unavailable: str
    may_operate: bool
