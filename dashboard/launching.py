"""Launching: a request from a form or the API becomes a batch with its nodes and items, and a start at Temporal."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.core.serializers.json import DjangoJSONEncoder
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from dashboard import projection
from dashboard.growth import write_section
from dashboard.models import AuditEntry, Batch, Node
from dashboard.permissions import Person, require_operator
from dashboard.roots import root_input
from dashboard.staged import can_roll_back, staged
from dashboard.stages import definition_of, first_stage
from dashboard.temporal import gateway
from dashboard.tree_rows import ResourceNamedTwice, Row, write_below
from orchestration.connection import TemporalUnavailable
from orchestration.contracts import NodeKind, Section
from orchestration.definitions import UNSUITED_TO_STAGES, Stage
from orchestration.options import Execution, OnThreshold
from orchestration.plan import Layout, Plan, problems, root_id
from orchestration.processors.catalogue import get_processor


@dataclass(frozen=True)
class LaunchRequest:
    """What a person wants launched; everything in it has been validated.

    Of an input that is read while it runs nothing is known: `count` is 0, and `source` says where it lies.
    `rows` yields exactly `count` rows, anew at each call: the first reading may be long past. `digest` identifies
    their content, for idempotency. `source` is kept on the batch as models.Batch says. With `definition` (the id of a
    saved version) the root is a flow of its own, and `processor` its kind.
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
    definition: int | None = None
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
            *([self.definition] if self.definition is not None else []),
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
    made = get_processor(processor)
    if plan.on_threshold is OnThreshold.ROLL_BACK and not can_roll_back(made):
        found["on_threshold"] = _("%(processor)s has no compensation, so nothing could be rolled back.") % {
            "processor": processor
        }
    if made.then:
        unsuited = [name for name in UNSUITED_TO_STAGES if getattr(plan, name)]
        found |= dict.fromkeys(
            unsuited, _("%(processor)s has two stages, and a stage cannot have this.") % {"processor": processor}
        )
    if made.child_workflow:
        if plan.chunk_size != 1:
            found["chunk_size"] = _("%(processor)s starts a workflow for each item: it needs a chunk size of 1.") % {
                "processor": processor
            }
        if plan.execution is not Execution.CHUNK:
            found["execution"] = _("%(processor)s has children of its own kind: leave this at its default.") % {
                "processor": processor
            }
    return found


def launch(person: Person, request: LaunchRequest) -> Launched:
    """Write a batch and start it. Where Temporal is away it stays pending, and the reconciler starts it later.

    The same person's same idempotency key gives the same batch. Raises PermissionDenied, LaunchRefused,
    IdempotencyConflict.
    """
    operator = require_operator(person)
    if request.definition is None and (errors := refusals(request.processor, request.plan, request.count)):
        raise LaunchRefused(errors)
    request = staged(operator, request)
    if (existing := _launched_before(operator, request)) is not None:
        return Launched(existing, created=False)
    try:
        batch = _write(operator, request)
    except IntegrityError:
        if (existing := _launched_before(operator, request)) is None:
            raise
        return Launched(existing, created=False)
    try:
        async_to_sync(gateway().start)(root_input(batch))
    except TemporalUnavailable as error:
        projection.note_start_error(batch.pk, str(error))
        batch.start_error = str(error)
    return Launched(batch, created=True)


def _launched_before(person: User, request: LaunchRequest) -> Batch | None:
    if request.idempotency_key is None:
        return None
    batch = Batch.objects.filter(launched_by=person, idempotency_key=request.idempotency_key).first()
    if batch is not None and batch.fingerprint != request.fingerprint:
        raise IdempotencyConflict(_("This idempotency key was used before, for a launch with other content."))
    return batch


def _scope(request: LaunchRequest) -> str:
    return "items as they are read" if request.plan.paged and not request.count else f"{request.count:,} items"


def _write(person: User, request: LaunchRequest) -> Batch:
    """Write a batch with all that is known of its tree. What is read while it runs comes later."""
    stage = first_stage(definition_of(request.definition)) if request.definition is not None else None
    layout = Layout.of(stage[1].plan if stage else request.plan, request.count)
    with transaction.atomic():
        batch = Batch.objects.create(
            processor=request.processor,
            label=request.label,
            parameters=request.parameters,
            plan_data=request.plan.model_dump(mode="json"),
            source=request.source,
            item_count=request.count,
            child_count=layout.children,
            partition_count=0 if stage else layout.partitions,
            window=request.plan.window,
            launched_by=person,
            launched_via=request.via,
            schedule_id=request.schedule,
            definition_id=request.definition,
            idempotency_key=request.idempotency_key,
            fingerprint=request.fingerprint,
            reading={"is_last": not request.plan.paged or request.count > 0},
            children_pending=layout.children,
            items_pending=request.count,
        )
        root = Node.objects.create(
            batch=batch, kind=NodeKind.ROOT, workflow_id=root_id(batch.pk), offset=0, length=request.count
        )
        try:
            _write_tree(batch, root, request, stage)
        except ResourceNamedTwice as error:
            raise LaunchRefused({"resource_field": str(error)}) from error
        AuditEntry.objects.create(
            batch=batch, person=person, action="launch", scope=_scope(request), outcome="Accepted."
        )
    return batch


def _write_tree(batch: Batch, root: Node, request: LaunchRequest, first: tuple[int, Stage] | None) -> None:
    """Write what lies below the root: partitions and children, of a flow below the first stage over its items."""
    if first is None:
        write_below(batch, root, Layout.of(request.plan, request.count), request.rows())
        return
    number, stage = first
    node = write_section(batch, root, Section(0, number, 0, 0, request.count), stage, request.count)
    write_below(batch, node, Layout.of(stage.plan, request.count), request.rows(), plan=stage.plan, section=0)
