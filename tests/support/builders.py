"""Builds batches for tests as the product does: launched rows, then tree events and results through the projection."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth.models import Group, User

from dashboard.accounts.permissions import OPERATORS, VIEWERS
from dashboard.chunk_store.store import DjangoChunkStore
from dashboard.inputs.rows import InputRow
from dashboard.launching import launch
from dashboard.launching.request import LaunchRequest
from dashboard.models import Batch, Node
from dashboard.projection.events import apply_events
from orchestration.contracts.chunks import ItemResult
from orchestration.contracts.events import EventKind, NodeKind, TreeEvent
from orchestration.contracts.status import Failure, Status
from orchestration.plan.plan import Plan

MakeBatch = Callable[..., Batch]
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def make_person(name: str, group: str = OPERATORS, password: str | None = None) -> User:
    """Make a person who may operate, or with VIEWERS only look; without a password, which takes long, `force_login`."""
    person = User.objects.create_user(name, password=password)
    person.groups.add(Group.objects.get_or_create(name=group)[0])
    return person


def make_viewer(name: str = "vera") -> User:
    """Make a person who may only look."""
    return make_person(name, VIEWERS)


def make_batch(person: User, items: int = 4, *, label: str = "", plan: Plan | None = None, **given: Any) -> Batch:
    """Write a batch as a launch does, without starting it. Keys: row-0000 and so on; `given` is the request's."""
    rows = [InputRow(f"row-{index:04}", {"url": f"https://example.org/{index}"}) for index in range(items)]
    request = LaunchRequest(
        processor=given.pop("processor", "simulate"),
        parameters=given.pop("parameters", {"seconds_from": 1, "seconds_to": 2}),
        plan=plan or Plan(),
        count=items,
        rows=lambda: iter(rows),
        digest=str(items),
        label=label,
        **given,
    )
    return launch._write(person, request)


def started(node: Node, run: int = 1, at: datetime = START) -> TreeEvent:
    """Return the event of a node's run having started."""
    return TreeEvent(EventKind.STARTED, node.workflow_id, f"run-{node.pk}-{run}", at)


def closed(
    node: Node, outcome: Status, run: int = 1, at: datetime = START, failure: Failure | None = None
) -> TreeEvent:
    """Return the event of a node's run having closed."""
    return TreeEvent(EventKind.CLOSED, node.workflow_id, f"run-{node.pk}-{run}", at, outcome, failure)


def root_of(batch: Batch) -> Node:
    """Return the root of a batch."""
    return Node.objects.get(batch=batch, kind=NodeKind.ROOT)


def child_of(batch: Batch, position: int) -> Node:
    """Return a child by its index."""
    return Node.objects.get(batch=batch, kind=NodeKind.CHILD, position=position)


def start_root(batch: Batch, at: datetime = START) -> None:
    """Let the root, and whatever partitions there are, be running."""
    parents = Node.objects.filter(batch=batch).exclude(kind=NodeKind.CHILD)
    apply_events(batch.pk, [started(node, at=at) for node in parents])


def close_root(batch: Batch, outcome: Status = Status.COMPLETED, at: datetime = START, **given: Any) -> None:
    """Let the root, and whatever partitions there are, close."""
    parents = list(Node.objects.filter(batch=batch).exclude(kind=NodeKind.CHILD).order_by("-pk"))
    apply_events(batch.pk, [closed(node, outcome, at=at, **given) for node in parents])


def run_children(
    batch: Batch,
    outcomes: Mapping[int, Status],
    *,
    run: int = 1,
    at: datetime = START,
    took: timedelta = timedelta(seconds=2),
    failure: Failure | None = None,
) -> None:
    """Let children (by index) start and come to an outcome, or with Status.RUNNING only start; items get results."""
    nodes = {node.position: node for node in Node.objects.filter(batch=batch, kind=NodeKind.CHILD)}
    problem = failure or Failure("ServerError", "HTTP 500 from https://example.org", "Traceback\n  line 1\n  line 2")
    apply_events(batch.pk, [started(nodes[position], run, at) for position in outcomes])
    DjangoChunkStore().write_results(
        [
            result
            for position, outcome in outcomes.items()
            for result in _results(nodes[position], outcome, run, problem)
        ]
    )
    apply_events(
        batch.pk,
        [
            closed(nodes[position], outcome, run, at + took, problem if outcome is not Status.COMPLETED else None)
            for position, outcome in outcomes.items()
            if outcome.is_outcome
        ],
    )


def _results(node: Node, outcome: Status, run: int, problem: Failure) -> Iterable[ItemResult]:
    """Yield what a child's items came to: all completed, or the last one failed."""
    if outcome not in (Status.COMPLETED, Status.FAILED):
        return
    last = node.offset + node.length - 1
    for index in range(node.offset, node.offset + node.length):
        is_failed = outcome is Status.FAILED and index == last
        yield ItemResult(
            batch_id=node.batch_id,
            child=node.position,
            run_id=f"run-{node.pk}-{run}",
            index=index,
            attempts=3 if is_failed else 1,
            duration=0.25,
            result=None if is_failed else {"status": 200},
            failure=problem if is_failed else None,
        )
