"""WorkflowEvent: events of workers that Canopy does not run, put to the batches that watch their trees."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence

from dashboard.accounts.permissions import Person
from dashboard.launching.watch import UnknownWorkflow, watch
from dashboard.live import doorbell
from dashboard.models import Node
from dashboard.projection.events import apply_events
from dashboard.reconciliation.repair import place_of
from orchestration.client.workflow_run import WorkflowRun
from orchestration.contracts.events import EventKind, NodeKind, TreeEvent
from orchestration.contracts.status import Status
from orchestration.remote.wire import WorkflowEvent

log = logging.getLogger(__name__)


def take_in(person: Person, told: Sequence[WorkflowEvent]) -> None:
    """Project events. A root that nobody watches is watched once a child of it is heard of; others are left alone.

    Raises PermissionDenied, TemporalUnavailable.
    """
    trees = defaultdict[tuple[str, str], list[WorkflowEvent]](list)
    for event in told:
        trees[event.root, event.root_run_id].append(event)
    for (root, run_id), events in trees.items():
        batch_id = _batch_of(person, root, run_id, has_child=any(event.parent for event in events))
        if batch_id:
            apply_events(batch_id, [_tree_event(event) for event in events])
            doorbell.announce_change_from_thread(batch_id)


def _batch_of(person: Person, root: str, run_id: str, *, has_child: bool) -> str:
    """Return the batch that shows a root's run; none where it is not known to be a parent, or is gone."""
    roots = Node.objects.filter(kind=NodeKind.ROOT, workflow_id=root, attempts__run_id=run_id)
    known = roots.order_by("-batch__created_at").values_list("batch_id", flat=True).first()
    if known is not None or not has_child:
        return known or ""
    try:
        return watch(person, root, via="plugin").batch.pk
    except UnknownWorkflow:
        log.info("Dropped events of %s, which Temporal does not know.", root)
        return ""


def _tree_event(told: WorkflowEvent) -> TreeEvent:
    run = WorkflowRun(
        told.workflow_id,
        told.run_id,
        told.status or Status.RUNNING,
        told.at,
        workflow_type=told.workflow_type,
        parent=told.parent,
        root=told.root,
    )
    kind = EventKind.CLOSED if told.status is not None else EventKind.STARTED
    return TreeEvent(kind, run.workflow_id, run.run_id, told.at, told.status, told.failure, place=place_of(run))
