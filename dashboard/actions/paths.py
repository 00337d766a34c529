"""Parents of children: what stands between a child and the root."""

from __future__ import annotations

from collections.abc import Mapping

from dashboard.models import PARENT_KINDS, Batch, Node
from orchestration.contracts.events import NodeKind
from orchestration.contracts.status import Status


def parents_in(batch: Batch) -> dict[int, Node]:
    """Return what lies between a batch's root and its children, by id."""
    above = Node.objects.filter(batch=batch, kind__in=PARENT_KINDS).select_related("parent")
    return {node.pk: node for node in above}


def open_ids(parents: Mapping[int, Node]) -> set[str]:
    """Return the workflow ids of parents that run."""
    return {node.workflow_id for node in parents.values() if node.status == Status.RUNNING}


def paths_above(eligible: Mapping[int, Node], parents: Mapping[int, Node]) -> dict[int, list[str]]:
    """Return the workflow ids above each child, by position."""
    return {position: _path(parents.get(node.parent_id or 0)) for position, node in sorted(eligible.items())}


def _path(parent: Node | None) -> list[str]:
    """Return the workflow ids between the root and a child, outermost first."""
    if parent is None:
        return []
    stage = parent.parent
    if stage is None or stage.kind != NodeKind.STAGE:
        return [parent.workflow_id]
    return [stage.workflow_id, parent.workflow_id]
