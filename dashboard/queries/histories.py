"""Histories: what Temporal still has of a node's runs. Reads only."""

from __future__ import annotations

from asgiref.sync import async_to_sync

from dashboard.models import Node
from dashboard.temporal import gateway
from orchestration.contracts.status import Status
from orchestration.temporal.connection import TemporalUnavailable


def is_forgotten(node: Node) -> bool:
    """Whether Temporal no longer has the newest run of a node that has ended; False where it cannot be asked."""
    if not node.is_workflow or not node.run_id or not Status(node.status).is_outcome:
        return False
    try:
        return not async_to_sync(gateway().has_run)(node.workflow_id, node.run_id)
    except TemporalUnavailable:
        return False
