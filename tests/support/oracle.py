"""Tallies counted from a batch's nodes and items: those that the projection maintains must equal them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction

from dashboard.models import PARENT_KINDS, Attempt, Batch, Item, Node
from dashboard.models.tallies import batch_status
from dashboard.projection.ledger import TALLY_COLUMNS
from orchestration.contracts.events import NodeKind
from orchestration.contracts.status import RESULTS_LOST, Status


@transaction.atomic
def assert_consistent(batch_id: str) -> None:
    """Check every tally, attempt number, revision and the status of a batch against its rows, all at one moment."""
    batch = Batch.objects.get(pk=batch_id)
    nodes = list(Node.objects.filter(batch=batch))
    attempts = defaultdict[int, list[Attempt]](list)
    for attempt in Attempt.objects.filter(batch=batch).order_by("node", "number"):
        attempts[attempt.node_id].append(attempt)
    root = next(node for node in nodes if node.kind == NodeKind.ROOT)
    partitions = {node.pk: node for node in nodes if node.kind in PARENT_KINDS}
    whole, below = Counter[str](), {pk: Counter[str]() for pk in partitions}
    results = _results_by_child(batch)
    for node in nodes:
        assert node.revision <= batch.revision
        _assert_shows_newest_attempt(batch, node, attempts[node.pk])
        if node.kind == NodeKind.CHILD:
            counted = _counted(node, results.get(node.position, Counter()))
            whole.update(counted)
            parent = partitions.get(node.parent_id or 0)
            while parent is not None:
                below[parent.pk].update(counted)
                parent = partitions.get(parent.parent_id or 0)
    assert _tallies(batch) == +whole
    for pk, partition in partitions.items():
        assert _tallies(partition) == +below[pk], partition
    assert batch.status == batch_status(batch, root)
    assert (batch.closed_at is None) == batch.is_open


def rows(batch_id: str) -> dict[str, Any]:
    """Return the part of a batch's rows that events determine: it must not depend on their order."""
    batch = Batch.objects.get(pk=batch_id)
    state = [
        "kind",
        "position",
        "status",
        "attempt",
        "run_id",
        "started_at",
        "closed_at",
        "error_type",
        "error_message",
        "items_failed",
    ]
    run = ["node__workflow_id", "number", "run_id", "status", "started_at", "closed_at", "error_type", "error_message"]
    steering = ["status", "paused", "window", "opened_at", "closed_at"]
    return {
        "batch": [getattr(batch, name) for name in steering] + [_tallies(batch)],
        "nodes": list(Node.objects.filter(batch=batch).order_by("pk").values_list(*state)),
        "attempts": list(Attempt.objects.filter(batch=batch).order_by("node", "number").values_list(*run)),
    }


def _tallies(tally: Batch | Node) -> Counter[str]:
    return +Counter({column: getattr(tally, column) for column in TALLY_COLUMNS})


def _results_by_child(batch: Batch) -> dict[int, Counter[str]]:
    results = dict[int, Counter[str]]()
    for child, status in Item.objects.filter(batch=batch).values_list("child", "status"):
        results.setdefault(child, Counter())[status] += 1
    return results


def _counted(node: Node, items: Counter[str]) -> Counter[str]:
    assert (node.items_completed, node.items_failed) == (items[Status.COMPLETED], items[Status.FAILED]), node
    counted = Counter({f"children_{node.status}": 1, "items_completed": 0, "items_failed": 0})
    counted["items_completed"] += items[Status.COMPLETED]
    counted["items_failed"] += items[Status.FAILED]
    counted[f"items_{node.status}"] += items[Status.PENDING]
    return counted


def _assert_shows_newest_attempt(batch: Batch, node: Node, attempts: Sequence[Attempt]) -> None:
    assert [attempt.number for attempt in attempts] == list(range(1, len(attempts) + 1))
    if node.status in (Status.PENDING, Status.SKIPPED) or not attempts:
        assert node.attempt in (len(attempts), len(attempts) + 1)
        return
    newest = attempts[-1]
    lost = node.length - node.items_completed - node.items_failed if node.kind == NodeKind.CHILD else 0
    lost = batch.unrecorded if node.kind == NodeKind.ROOT else lost
    if newest.status == Status.COMPLETED and lost > 0:
        assert (node.status, node.error_type) == (Status.FAILED, RESULTS_LOST)
        return
    shown = (node.run_id, node.attempt, node.status, node.started_at, node.closed_at, node.error_message)
    assert shown == (
        newest.run_id,
        newest.number,
        newest.status,
        newest.started_at,
        newest.closed_at,
        newest.error_message,
    )


def differences(batch_id: str, in_temporal: Mapping[str, str]) -> list[str]:
    """Return where the rows of an ended batch differ from Temporal's newest runs: {workflow id: status}."""
    batch = Batch.objects.get(pk=batch_id)
    attempts = Attempt.objects.filter(batch=batch, node__is_workflow=True).order_by("number")
    rows = dict(attempts.values_list("node__workflow_id", "status"))
    found = [
        f"{name} is {rows.get(name)}, in Temporal {in_temporal.get(name)}"
        for name in sorted(rows.keys() | in_temporal.keys())
        if rows.get(name) != in_temporal.get(name)
    ]
    nodes = Node.objects.filter(batch=batch, status__in=(Status.PENDING, Status.RUNNING)).order_by("pk")
    found += [f"the {node.kind} {node.label} is {node.status}" for node in nodes]
    if batch.is_open:
        found.append(f"the batch is {batch.status}")
    try:
        assert_consistent(batch.pk)
    except AssertionError as error:
        found.append(f"the tallies are wrong: {error}")
    return found
