"""Context of the page that watches an external workflow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestration.client.workflow_run import WorkflowRun


@dataclass(frozen=True)
class WatchPage:
    """Context of the page: what was typed, what is wrong with it, and the parents that match a search."""

    workflow_id: str
    error: str
    search: str
    parents: Sequence[WorkflowRun]
    away: str
    may_operate: bool
