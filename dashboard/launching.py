"""Launching: a request from a form or the API becomes a batch with its nodes and items, and a start at Temporal."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.core.serializers.json import DjangoJSONEncoder
from django.db import IntegrityError, transaction

from dashboard import projection
from dashboard.models import AuditEntry, Batch, Item, Node
from dashboard.permissions import Person, require_operator
from dashboard.store import resource_of
from dashboard.temporal import gateway
from orchestration.connection import TemporalUnavailable
from orchestration.contracts import FanOutInput, NodeKind
from orchestration.options import Execution, OnThreshold
from orchestration.plan import Layout, Plan, child_id, partition_id, problems, resource_id, root_id
from orchestration.processors.registry import get_processor

ROWS_PER_INSERT = 2_000
KEY_LIMIT = 200


@dataclass(frozen=True)
class Row:
    """One good item of the input."""

    key: str
    data: Mapping[str, Any]


@dataclass(frozen=True)
class LaunchRequest:
    """What a person wants launched; everything in it has been validated.

    `rows` yields exactly `count` rows, anew at each call: the first reading may be long past. `digest` identifies
    their content, for idempotency. `source` is kept on the batch as models.Batch says.
    """

    processor: str
    parameters: dict[str, Any]
    plan: Plan
    count: int
    rows: Callable[[], Iterator[Row]]
    digest: str
    label: str = ""
    source: dict[str, Any] = field(default_factory=dict)
    idempotency_key: str | None = None
    via: str = "form"
    schedule: str | None = None

    @property
    def fingerprint(self) -> str:
        """A digest of all that makes two launches the same."""
        content = [
            self.processor,
            self.parameters,
            self.plan.model_dump(mode="json"),
            self.count,
            self.digest,
            self.label,
        ]
        return hashlib.sha256(json.dumps(content, sort_keys=True, cls=DjangoJSONEncoder).encode()).hexdigest()


@dataclass(frozen=True)
class Launched:
    """The batch, and whether this request made it or found it made."""

    batch: Batch
    created: bool


class IdempotencyConflict(Exception):
    """The key was used before, for something else."""


class LaunchRefused(Exception):
    """A plan that cannot work for these items: {field of the plan: reason}."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__(" ".join(errors.values()))
        self.errors = errors


def refusals(processor: str, plan: Plan, count: int) -> dict[str, str]:
    """Return why a plan cannot work for a processor and a number of items: {field of the plan: reason}."""
    found = problems(plan, count)
    if plan.on_threshold is OnThreshold.ROLL_BACK and get_processor(processor).compensation is None:
        found["on_threshold"] = f"{processor} has no compensation, so nothing could be rolled back."
    return found


def launch(person: Person, request: LaunchRequest) -> Launched:
    """Write a batch and start it. Where Temporal is away it stays pending, and the reconciler starts it later.

    The same person's same idempotency key gives the same batch. Raises PermissionDenied, LaunchRefused,
    IdempotencyConflict.
    """
    operator = require_operator(person)
    if errors := refusals(request.processor, request.plan, request.count):
        raise LaunchRefused(errors)
    if (existing := _launched_before(operator, request)) is not None:
        return Launched(existing, created=False)
    try:
        batch = _write(operator, request)
    except IntegrityError:
        if (existing := _launched_before(operator, request)) is None:
            raise
        return Launched(existing, created=False)
    try:
        async_to_sync(gateway().start)(fan_out_input(batch))
    except TemporalUnavailable as error:
        projection.note_start_error(batch.pk, str(error))
        batch.start_error = str(error)
    return Launched(batch, created=True)


def fan_out_input(batch: Batch) -> FanOutInput:
    """Return how a batch's root is started."""
    label = f"{batch.processor}: {batch.label or batch.pk} ({batch.item_count:,} items)"
    plan = batch.plan
    children = Layout.of(plan, batch.item_count).children
    return FanOutInput(batch.pk, plan, batch.item_count, 0, children, window=batch.window, label=label)


def _launched_before(person: User, request: LaunchRequest) -> Batch | None:
    if request.idempotency_key is None:
        return None
    batch = Batch.objects.filter(launched_by=person, idempotency_key=request.idempotency_key).first()
    if batch is not None and batch.fingerprint != request.fingerprint:
        raise IdempotencyConflict("This idempotency key was used before, for a launch with other content.")
    return batch


def _write(person: User, request: LaunchRequest) -> Batch:
    layout = Layout.of(request.plan, request.count)
    with transaction.atomic():
        batch = Batch.objects.create(
            processor=request.processor,
            label=request.label,
            parameters=request.parameters,
            plan_data=request.plan.model_dump(mode="json"),
            source=request.source,
            item_count=request.count,
            child_count=layout.children,
            partition_count=layout.partitions,
            window=request.plan.window,
            launched_by=person,
            launched_via=request.via,
            schedule_id=request.schedule,
            idempotency_key=request.idempotency_key,
            fingerprint=request.fingerprint,
            children_pending=layout.children,
            items_pending=request.count,
        )
        root = Node.objects.create(
            batch=batch, kind=NodeKind.ROOT, workflow_id=root_id(batch.pk), offset=0, length=request.count
        )
        parents = _write_partitions(batch, root, layout)
        _write_children(batch, layout, parents, request.rows())
        AuditEntry.objects.create(
            batch=batch, person=person, action="launch", scope=f"{request.count:,} items", outcome="Accepted."
        )
    return batch


def _write_partitions(batch: Batch, root: Node, layout: Layout) -> Sequence[Node]:
    """Write the partitions and return the parent of each, or of all children."""
    partitions = []
    for position in range(layout.partitions):
        children = layout.partition_range(position)
        offset = layout.chunk(children.start).offset
        last = layout.chunk(children.stop - 1)
        length = last.offset + last.length - offset
        partitions.append(
            Node(
                batch=batch,
                parent=root,
                kind=NodeKind.PARTITION,
                position=position,
                workflow_id=partition_id(batch.pk, position),
                offset=offset,
                length=length,
                children_pending=len(children),
                items_pending=length,
            )
        )
    return Node.objects.bulk_create(partitions) or [root]


def _write_children(batch: Batch, layout: Layout, parents: Sequence[Node], rows: Iterator[Row]) -> None:
    """Stream the items into the database, and a child for each chunk of them."""
    plan, nodes, items = batch.plan, list[Node](), list[Item]()
    workflow_ids = set[str]()
    for child in range(layout.children):
        chunk = layout.chunk(child)
        partition = layout.partition_of(child)
        taken = list(islice(rows, chunk.length))
        if len(taken) != chunk.length:
            raise ValueError(f"The input ended after {chunk.offset + len(taken)} of {layout.items} rows.")
        workflow_id = _workflow_id(batch, plan, child, partition, taken[0])
        if plan.resource_field and workflow_id in workflow_ids:
            raise LaunchRefused(
                {"resource_field": f"Two items name the same resource; the second is {taken[0].key!r}."}
            )
        workflow_ids.add(workflow_id)
        nodes.append(
            Node(
                batch=batch,
                parent=parents[partition or 0],
                kind=NodeKind.CHILD,
                position=child,
                workflow_id=workflow_id,
                is_workflow=plan.execution is not Execution.NO_CHILDREN,
                offset=chunk.offset,
                length=chunk.length,
                key_first=taken[0].key[:KEY_LIMIT],
                key_last=taken[-1].key[:KEY_LIMIT],
            )
        )
        for index, row in enumerate(taken, start=chunk.offset):
            items.append(Item(batch=batch, index=index, child=child, key=row.key[:KEY_LIMIT], data=dict(row.data)))
        if len(items) >= ROWS_PER_INSERT or len(nodes) >= ROWS_PER_INSERT:
            _flush(nodes, items)
    _flush(nodes, items)


def _workflow_id(batch: Batch, plan: Plan, child: int, partition: int | None, first: Row) -> str:
    """Return a child's workflow id: its own, or that of the resource that its one item names."""
    if not plan.resource_field:
        return child_id(batch.pk, child, partition)
    return resource_id(resource_of(first.key, first.data, plan.resource_field))


def _flush(nodes: list[Node], items: list[Item]) -> None:
    Node.objects.bulk_create(nodes)
    Item.objects.bulk_create(items)
    nodes.clear()
    items.clear()
