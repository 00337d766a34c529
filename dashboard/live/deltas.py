"""Deltas: the messages that bring a browser up to date, read from the database by revision."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone

from dashboard.database.bulk import slices
from dashboard.database.snapshot import one_snapshot
from dashboard.live.state import LARGE_COLUMNS, batch_state, iso, node_state
from dashboard.models import GENERATION, OPEN_BATCH_STATUSES, Batch, Node
from orchestration.contracts.events import NodeKind

NODES_PER_MESSAGE = 500
NODES_PER_DELTA = 2_000
"""Above this number of changed nodes a browser is asked to reload its rows instead."""

BATCHES_LISTED = 1_000
BATCHES_PER_MESSAGE = 100
RECENTLY_CLOSED = timedelta(seconds=30)


def batch_deltas(batch_id: str, since: int) -> Iterator[dict[str, Any]]:
    """Yield the messages that bring a browser from revision `since` to the newest; none if it is up to date.

    They are of one snapshot: the tallies of a parent, the batch's and the nodes say the same.

    Only the last has `more: false`: its revision is the one to remember. `reload` asks the browser to fetch its rows
    again, when too many changed, or the revision is of a database from before a restore: newer than the batch's, or of
    another generation. The first has the root among its nodes.
    """
    if not Batch.objects.exclude(revision=since).filter(pk=batch_id).exists():
        return
    with one_snapshot():
        batches = Batch.objects.defer(*LARGE_COLUMNS).filter(pk=batch_id)
        messages = [message for batch in batches for message in _messages(batch, since)]
    yield from messages


def _messages(batch: Batch, since: int) -> Iterator[dict[str, Any]]:
    is_before = since < batch.revision and since // GENERATION == batch.revision // GENERATION
    nodes = _changed_nodes(batch, since) if is_before else None
    pages = list(slices(_with_root(batch, nodes or []), NODES_PER_MESSAGE))
    state = batch_state(batch)
    for number, page in enumerate(pages, start=1):
        yield {
            "type": "delta",
            "since": since,
            "revision": batch.revision,
            "more": number < len(pages),
            "reload": nodes is None,
            "now": iso(timezone.now()),
            "batch": state,
            "nodes": [node_state(node) for node in page],
        }


def _changed_nodes(batch: Batch, since: int) -> list[Node] | None:
    """Return the nodes that changed between a revision and the batch's, or None if they are too many."""
    changed = Node.objects.filter(batch=batch, revision__gt=since, revision__lte=batch.revision)
    nodes = list(changed.order_by("revision")[: NODES_PER_DELTA + 1])
    for node in nodes:
        node.batch = batch
    return nodes if len(nodes) <= NODES_PER_DELTA else None


def batch_list_delta(sent: dict[str, int]) -> dict[str, Any] | None:
    """Return the changes in the list of batches, or None. `sent` is what the browser has: {batch id: revision}."""
    is_fresh = Q(status__in=OPEN_BATCH_STATUSES) | Q(closed_at__gte=timezone.now() - RECENTLY_CLOSED)
    revisions = dict(Batch.objects.filter(is_fresh).values_list("pk", "revision")[:BATCHES_LISTED])
    for pk in sent.keys() - revisions.keys():
        del sent[pk]
    changed = [pk for pk, revision in revisions.items() if revision != sent.get(pk)][:BATCHES_PER_MESSAGE]
    if not changed:
        return None
    batches = list(Batch.objects.filter(pk__in=changed).defer(*LARGE_COLUMNS).select_related("launched_by"))
    sent.update({batch.pk: batch.revision for batch in batches})
    return {
        "type": "batches",
        "now": iso(timezone.now()),
        "batches": [
            batch_state(batch)
            | {
                "label": batch.label,
                "processor": batch.processor,
                "launched_by": batch.launched_by.get_username(),
                "schedule": batch.schedule_id,
                "created_at": iso(batch.created_at),
            }
            for batch in batches
        ],
    }


def tick(late_since: datetime | None = None) -> dict[str, Any]:
    """Return the message that only shows that the connection is alive, and since when changes are only polled for."""
    return {"type": "tick", "now": iso(timezone.now()), "late_since": late_since and iso(late_since)}


def _with_root(batch: Batch, changed: Sequence[Node]) -> list[Node]:
    """Return the root and what changed besides: a root shows the status and the tallies of its batch."""
    root = Node.objects.get(batch=batch, kind=NodeKind.ROOT)
    root.batch = batch
    return [root, *(node for node in changed if node.pk != root.pk)]
