"""A launch request becomes a batch with its nodes and items, and a start on Temporal."""

from __future__ import annotations

from dataclasses import replace

from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from dashboard.accounts.audit import counted, record
from dashboard.accounts.permissions import Person, require_operator
from dashboard.definitions.stages import check_launchable, definition_of, first_stage
from dashboard.errors import FieldErrors
from dashboard.launching.request import IdempotencyConflict, Launched, LaunchRequest
from dashboard.launching.root_input import root_input
from dashboard.launching.two_stage import as_pipeline, has_two_stages
from dashboard.launching.validation import plan_problems
from dashboard.models import Batch, Node
from dashboard.projection.settlement import set_start_error
from dashboard.projection.tree_writer import ResourceNamedTwice, write_below, write_section
from dashboard.temporal import gateway
from orchestration.contracts.events import NodeKind
from orchestration.contracts.flows import Section
from orchestration.contracts.workflow_ids import root_id
from orchestration.definitions.models import Definition, Pipeline, Stage
from orchestration.definitions.source_tree import DefinitionErrors
from orchestration.plan.layout import Layout
from orchestration.telemetry import tracing
from orchestration.temporal.connection import TemporalUnavailable


def launch(person: Person, request: LaunchRequest) -> Launched:
    """Write a batch and start it. If Temporal is unavailable, it stays pending and the reconciler starts it later.

    A repeated idempotency key of the same person returns the same batch. Raises PermissionDenied, IdempotencyConflict,
    and FieldErrors with the plan's fields if the plan cannot work for these items.
    """
    operator = require_operator(person)
    if request.definition is None and (errors := plan_problems(request.processor, request.plan, request.count)):
        raise FieldErrors(errors)
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
        set_start_error(batch.pk, str(error))
        batch.start_error = str(error)
    return Launched(batch, created=True)


def _launched_before(person: User, request: LaunchRequest) -> Batch | None:
    if request.idempotency_key is None:
        return None
    batch = Batch.objects.filter(launched_by=person, idempotency_key=request.idempotency_key).first()
    if batch is not None and batch.fingerprint not in _fingerprints(request, batch):
        raise IdempotencyConflict(_("This idempotency key was already used for a launch with different content."))
    return batch


def _fingerprints(request: LaunchRequest, batch: Batch) -> set[str]:
    """Return the fingerprints that a batch of the same launch may have.

    A two-stage launch has the fingerprint of its request; batches of earlier versions have that of the pipeline.
    """
    found = {request.fingerprint}
    if has_two_stages(request) and batch.source.get("form") == request.processor:
        found.add(replace(request, processor=batch.processor, definition=batch.definition_id).fingerprint)
    return found


def _scope(request: LaunchRequest) -> str:
    is_read_later = request.plan.paged and not request.count
    return "items as they are read" if is_read_later else counted(request.count, "item", "items")


def _write(person: User, request: LaunchRequest) -> Batch:
    """Write a batch with as much of its tree as is known now; pages and sections follow while it runs."""
    fingerprint = request.fingerprint
    definition: Definition | None = None
    if has_two_stages(request):
        request, definition = as_pipeline(person, request)
    elif request.definition is not None:
        definition = _launchable(request.definition)
    stage = first_stage(definition) if definition is not None else None
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
            final_stage=definition.stages[-1].name if isinstance(definition, Pipeline) else "",
            window=request.plan.window,
            launched_by=person,
            launched_via=request.via,
            schedule_id=request.schedule,
            definition_id=request.definition,
            idempotency_key=request.idempotency_key,
            fingerprint=fingerprint,
            traceparent=tracing.current_traceparent(),
            reading={"is_last": not request.plan.paged or request.count > 0},
            children_pending=layout.children,
            items_pending=request.count,
        )
        root = Node.objects.create(
            batch=batch, kind=NodeKind.ROOT, workflow_id=root_id(batch.pk), offset=0, length=request.count
        )
        _write_tree(batch, root, request, stage)
        record(person, batch, "launch", _scope(request))
    return batch


def _launchable(version_id: int) -> Definition:
    """Return a saved version. Raises FieldErrors for one that the installation has ceased to allow."""
    try:
        check_launchable(version_id)
    except DefinitionErrors as error:
        raise FieldErrors({"definition": [f"{each.path}: {each.message}" for each in error.errors]}) from error
    return definition_of(version_id)


def _write_tree(batch: Batch, root: Node, request: LaunchRequest, first: tuple[int, Stage] | None) -> None:
    """Write partitions and children below the root; in a flow, below the first stage over the batch's items.

    Raises FieldErrors where two items name the same resource.
    """
    if first is None:
        try:
            write_below(batch, root, Layout.of(request.plan, request.count), request.rows())
        except ResourceNamedTwice as error:
            raise FieldErrors({"resource_field": str(error)}) from error
        return
    number, stage = first
    node = write_section(batch, root, Section(0, number, 0, 0, request.count), stage, request.count)
    write_below(batch, node, Layout.of(stage.plan, request.count), request.rows(), plan=stage.plan, section=0)
