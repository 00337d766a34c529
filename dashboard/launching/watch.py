"""Watching external workflows: one that Canopy did not launch becomes a batch whose tree the reconciler alone updates.

A watched batch allows fewer actions than a launched one, since its own parents control it: see `actions`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from dashboard.accounts.audit import record
from dashboard.accounts.permissions import Person, require_operator, require_reporter
from dashboard.models import Batch, Node
from dashboard.projection.events import apply_events
from dashboard.temporal import gateway
from orchestration.client.workflow_run import WorkflowRun
from orchestration.contracts.events import EventKind, NodeKind, TreeEvent
from orchestration.plan.plan import Plan


@dataclass(frozen=True)
class Watched:
    """The batch, whether this request created it, and the requested workflow if it is not the root but below it."""

    batch: Batch
    created: bool
    descendant: str = ""


class UnknownWorkflow(LookupError):
    """Temporal knows no workflow with this id."""


def watch(person: Person, workflow_id: str, *, via: str = "watch") -> Watched:
    """Watch the tree of a workflow, from its root's newest run on; a tree that is watched already is returned as it is.

    Raises PermissionDenied, UnknownWorkflow, TemporalUnavailable.
    """
    return _watch(require_operator(person), workflow_id, via)


def watch_reported(person: Person, workflow_id: str) -> Watched:
    """Watch a tree of which a plugin reports events; otherwise as `watch`."""
    return _watch(require_reporter(person), workflow_id, "plugin")


def _watch(operator: User, workflow_id: str, via: str) -> Watched:
    root = _root_of(workflow_id)
    descendant = workflow_id if root.workflow_id != workflow_id else ""
    if (existing := _existing(root)) is not None:
        return Watched(existing, created=False, descendant=descendant)
    try:
        with transaction.atomic():
            batch = _write(operator, root, via)
    except IntegrityError:
        if (existing := _existing(root)) is None:
            raise
        return Watched(existing, created=False, descendant=descendant)
    apply_events(batch.pk, [TreeEvent(EventKind.STARTED, root.workflow_id, root.run_id, root.started_at)])
    batch.refresh_from_db()
    return Watched(batch, created=True, descendant=descendant)


def suggested_parents(text: str) -> Sequence[WorkflowRun]:
    """Return external workflows that started children lately. Raises TemporalUnavailable."""
    return async_to_sync(gateway().external.parents)(text)


def _root_of(workflow_id: str) -> WorkflowRun:
    run = async_to_sync(gateway().describe_run)(workflow_id) if workflow_id else None
    if run is not None and run.root not in ("", workflow_id):
        run = async_to_sync(gateway().describe_run)(run.root)
    if run is None:
        raise UnknownWorkflow(
            _("There is no workflow %(workflow_id)s in the namespace %(namespace)s.")
            % {"workflow_id": repr(workflow_id), "namespace": repr(_namespace())}
        )
    return run


def _namespace() -> str:
    return async_to_sync(gateway().client)().namespace


def _existing(root: WorkflowRun) -> Batch | None:
    """Return the newest batch that shows this run of a root, launched or watched."""
    shown = Node.objects.filter(kind=NodeKind.ROOT, workflow_id=root.workflow_id, attempts__run_id=root.run_id)
    node = shown.select_related("batch").order_by("-batch__created_at").first()
    return node.batch if node is not None else None


def _write(person: User, root: WorkflowRun, via: str) -> Batch:
    batch = Batch.objects.create(
        processor=root.workflow_type[:100],
        label=root.workflow_id[:200],
        plan_data=Plan().model_dump(mode="json"),
        source={"kind": "watched"},
        item_count=0,
        child_count=0,
        window=0,
        launched_by=person,
        launched_via=via,
        watched_id=root.workflow_id,
        watched_since=root.started_at,
        idempotency_key=f"watch:{root.run_id}",
    )
    Node.objects.create(
        batch=batch,
        kind=NodeKind.ROOT,
        workflow_id=root.workflow_id,
        label=root.workflow_type[:200],
        offset=0,
        length=0,
    )
    record(person, batch, "watch", root.workflow_id)
    return batch
