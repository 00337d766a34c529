"""Events sent by the plugin of external workers, projected into the batches that watch their workflows."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence

from dashboard.accounts.permissions import Person
from dashboard.launching.watch import UnknownWorkflow, watch_reported
from dashboard.live import doorbell
from dashboard.models import Batch, Node
from dashboard.projection.events import apply_events
from dashboard.reconciliation.places import place_of
from orchestration.client.workflow_run import WorkflowRun
from orchestration.contracts.events import EventKind, NodeKind, TreeEvent
from orchestration.contracts.status import Status
from orchestration.contracts.workflow_ids import is_canopy_id
from orchestration.remote.wire import WorkflowEvent

log = logging.getLogger(__name__)


def ingest(person: Person, events: Sequence[WorkflowEvent]) -> None:
    """Project events. A root that no batch watches is ignored until a child of it is reported, and watched then.

    Raises PermissionDenied, TemporalUnavailable.
    """
    trees = defaultdict[tuple[str, str], list[WorkflowEvent]](list)
    for event in events:
        trees[event.root, event.root_run_id].append(event)
    for (root, run_id), of_tree in trees.items():
        batch_id = _batch_of(person, root, run_id, has_child=any(event.parent for event in of_tree))
        reported = _of_others(batch_id, of_tree) if batch_id else []
        if reported:
            apply_events(batch_id, [_tree_event(event) for event in reported])
            doorbell.announce_change_from_thread(batch_id)


def _batch_of(person: Person, root: str, run_id: str, *, has_child: bool) -> str:
    """Return the batch that shows a root's run, watching it if it has a child; empty if there is none."""
    roots = Node.objects.filter(kind=NodeKind.ROOT, workflow_id=root, attempts__run_id=run_id)
    known = roots.order_by("-batch__created_at").values_list("batch_id", flat=True).first()
    if known is not None or not has_child:
        return known or ""
    try:
        return watch_reported(person, root).batch.pk
    except UnknownWorkflow:
        log.info("Dropped events of %s, which Temporal does not know.", root)
        return ""


def _of_others(batch_id: str, events: Sequence[WorkflowEvent]) -> list[WorkflowEvent]:
    """Return the events that a plugin may report: of a batch that Canopy launched, not those of Canopy's workflows."""
    if Batch.objects.filter(pk=batch_id).exclude(watched_id="").exists():
        return list(events)
    names = {event.workflow_id for event in events if not is_canopy_id(event.workflow_id)}
    own = Node.objects.filter(batch=batch_id, workflow_id__in=names).exclude(kind=NodeKind.STEP)
    names -= set(own.values_list("workflow_id", flat=True))
    return [event for event in events if event.workflow_id in names]


def _tree_event(event: WorkflowEvent) -> TreeEvent:
    run = WorkflowRun(
        event.workflow_id,
        event.run_id,
        event.status or Status.RUNNING,
        event.at,
        workflow_type=event.workflow_type,
        parent=event.parent,
        root=event.root,
    )
    kind = EventKind.CLOSED if event.status is not None else EventKind.STARTED
    return TreeEvent(kind, run.workflow_id, run.run_id, event.at, event.status, event.failure, place=place_of(run))
