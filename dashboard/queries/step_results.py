"""What a step returned, where that is in the database. Reads only."""

from __future__ import annotations

from dataclasses import dataclass
from json import loads
from typing import Any

from dashboard.models import Node, NodeStatus, StepResult
from orchestration.contracts.step_results import text_of

SHOWN_SIZE = 64 * 1024
"""Bytes of JSON up to which a result is shown in a pane; larger ones are downloaded."""


@dataclass(frozen=True)
class StepOutcome:
    """What a step returned: its bytes as JSON, and its value where that is small enough to be shown."""

    size: int
    value: Any = None

    @property
    def is_shown(self) -> bool:
        """Whether it has its value."""
        return self.size <= SHOWN_SIZE


def outcome_of(node: Node) -> StepOutcome | None:
    """Return what the newest run of a step returned, or None where the database has not got it."""
    newest = _newest(node)
    if newest is None:
        return None
    if newest.size > SHOWN_SIZE:
        return StepOutcome(newest.size)
    return StepOutcome(newest.size, loads(text_of(bytes(newest.content))))


def result_text(node: Node) -> str | None:
    """Return what the newest run of a step returned as JSON, or None where the database has not got it."""
    newest = _newest(node)
    return text_of(bytes(newest.content)) if newest is not None else None


def _newest(node: Node) -> StepResult | None:
    if node.status != NodeStatus.COMPLETED:
        return None
    written = StepResult.objects.filter(batch=node.batch_id, step=node.workflow_id)
    return written.defer("content").order_by("-written_at", "-pk").first()
