"""The children that an action targets, given as nodes, a status, an error, or a selection. Reads only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from dashboard.database.bulk import slices
from dashboard.errors import OperationError
from dashboard.i18n.formatting import numeral
from dashboard.models import FAILURES, PARENT_KINDS, Action, Batch, Node, NodeStatus
from dashboard.queries.selection import ALL_CHILDREN, Selection
from orchestration.contracts.events import NodeKind
from orchestration.contracts.status import Status

MOST_NAMED = 10_000
"""Nodes that may be named one by one, as many as rows can be ticked at once."""

FAILED = "failed"
UNFINISHED = "unfinished"

GROUPS = {
    FAILED: FAILURES,
    UNFINISHED: tuple(NodeStatus(status) for status in Status if status.is_retryable),
}
"""Groups of statuses by name; a single status can be a target too."""

RUNNING = (NodeStatus.RUNNING,)
ELIGIBLE_STATUSES = {
    Action.RETRY: GROUPS[UNFINISHED],
    Action.SKIP: (*FAILURES, NodeStatus.PENDING),
    Action.CANCEL: RUNNING,
    Action.TERMINATE: RUNNING,
}
"""Statuses of children that an action applies to."""


@dataclass(frozen=True)
class Targets:
    """What a person names: ids of `nodes` (a partition or the root stands for the eligible children below it), a
    `status` ("failed", "unfinished", or one status), or a `selection`.
    """

    nodes: Sequence[int] | None = None
    status: str = ""
    selection: Selection = ALL_CHILDREN

    def children(self, batch: Batch, action: Action = Action.RETRY, *, allow_empty: bool = False) -> list[Node]:
        """Return the children, by position.

        Raises OperationError: 404 for a node of another batch, 422 for an unknown status or no node, 409 if no child
        is eligible and `allow_empty` is not set.
        """
        if self.nodes is not None:
            return _named(batch, self.nodes, action, allow_empty=allow_empty)
        if self.selection.is_narrow:
            return self._selected(batch, action)
        return _in_status(batch, self.status, action)

    def _selected(self, batch: Batch, action: Action) -> list[Node]:
        children = self.selection.children(batch)
        if self.selection.status is None:
            children = children.filter(status__in=ELIGIBLE_STATUSES[action])
        found = list(children.order_by("position"))
        if not found:
            raise OperationError(
                _("No children failed with this error.")
                if self.selection.error
                else _("%(action)s is not possible for any selected child.") % {"action": action.label},
                409,
            )
        return found

    def description(self, number: int) -> str:
        """Describe the targets, which are `number` children."""
        if self.nodes is not None:
            return f"{number:,} selected"
        if self.status:
            return f"all {self.status}"
        selection, parts = self.selection, list[str]()
        if selection.status:
            parts.append(f"all {selection.status}")
        if selection.error:
            parts.append(f"with error {selection.error}")
        if selection.text:
            parts.append(f"with “{selection.text}”")
        if selection.span:
            parts.append(f"from #{selection.span[0] + 1} to #{selection.span[1] + 1}")
        return " ".join(parts)


def targets_with_error(signature: str) -> Targets:
    """Return the children with failures of an error as targets."""
    return Targets(selection=Selection(error=signature))


def unfinished_in_stopped_stages(batch: Batch) -> QuerySet[Node]:
    """Return the unfinished children of stopped stages: a flow resumes after they have run."""
    stopped = Node.objects.filter(batch=batch, kind=NodeKind.STAGE, status__in=GROUPS[UNFINISHED])
    below = Q(parent__in=stopped) | Q(parent__parent__in=stopped)
    return ALL_CHILDREN.children(batch).filter(below, status__in=GROUPS[UNFINISHED])


def _named(batch: Batch, ids: Sequence[int], action: Action, *, allow_empty: bool) -> list[Node]:
    if not ids:
        raise OperationError(_("Nothing is selected."), 422)
    if len(ids) > MOST_NAMED:
        raise OperationError(
            _("At most %(limit)s children can be named one by one. Choose by status, error or range of positions.")
            % {"limit": numeral(MOST_NAMED)},
            422,
        )
    found = {
        node.pk: node for some in slices(sorted(set(ids))) for node in Node.objects.filter(batch=batch, pk__in=some)
    }
    unknown = [str(pk) for pk in ids if pk not in found]
    if unknown:
        raise OperationError(_("This batch has no node %(unknown)s.") % {"unknown": ", ".join(unknown[:5])}, 404)
    children = {pk: node for pk, node in found.items() if node.kind == NodeKind.CHILD}
    parents = [node for node in found.values() if node.kind != NodeKind.CHILD]
    if parents:
        for node in _below(parents):
            if node.kind == NodeKind.CHILD and node.status in ELIGIBLE_STATUSES[action]:
                children[node.pk] = node
    if not children and not allow_empty:
        raise OperationError(
            _("%(action)s is not possible for any child below the selection.") % {"action": action.label}, 409
        )
    return sorted(children.values(), key=lambda node: node.position)


def _below(parents: Sequence[Node]) -> Iterator[Node]:
    """Yield all nodes below some, level by level."""
    while parents:
        found = list(Node.objects.filter(parent__in=parents))
        yield from found
        parents = [node for node in found if node.kind in PARENT_KINDS]


def _in_status(batch: Batch, status: str, action: Action) -> list[Node]:
    groups = {name: members for name, members in GROUPS.items() if set(members) <= set(ELIGIBLE_STATUSES[action])}
    statuses = groups.get(status) or tuple(each for each in ELIGIBLE_STATUSES[action] if each == status)
    if not statuses:
        known = ", ".join(dict.fromkeys([*groups, *ELIGIBLE_STATUSES[action]]))
        raise OperationError(
            _("%(action)s accepts children with the status %(known)s, not %(status)s.")
            % {"action": action.label, "known": known, "status": repr(status)},
            422,
        )
    return list(ALL_CHILDREN.children(batch).filter(status__in=statuses).order_by("position"))
