"""The API's batches: the same permissions and the same path as the forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from django.conf import settings
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from ninja import Header, Query, Router
from ninja.errors import HttpError
from pydantic import ValidationError

from dashboard import items as item_input
from dashboard import operations
from dashboard.api import schemas
from dashboard.forms import plain_words
from dashboard.items import Format, Source, Survey
from dashboard.launching import IdempotencyConflict, LaunchRefused, LaunchRequest, launch, refusals
from dashboard.live import batch_state
from dashboard.models import Batch, Item, Kind, Node, NodeStatus
from dashboard.permissions import require_operator
from orchestration.plan import Plan
from orchestration.presets import PRESETS, Preset, UnknownPreset, get_preset
from orchestration.processors.registry import Processor, UnknownProcessor, get_processor, processors

router = Router(tags=["Batches"])

BAD_ROWS_TOLD = 100
PAGE_MAX = 1_000

M = TypeVar("M", bound=Model)
T = TypeVar("T")
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]

PROBLEMS = {401: schemas.Problem, 403: schemas.Problem, 404: schemas.Problem, 422: schemas.Problem}
OPERATION = {202: schemas.Accepted, **PROBLEMS, 409: schemas.Problem, 503: schemas.Problem}


class Invalid(Exception):
    """A request that cannot be done as it is: what is wrong with which field."""

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__("Some fields are not valid.")
        self.errors = errors


@router.get("/processors", response=list[schemas.ProcessorOut])
def list_processors(request: HttpRequest) -> list[dict[str, Any]]:
    """List what can be launched."""
    return [
        {
            "name": processor.name,
            "title": processor.title,
            "summary": processor.summary,
            "parameters": processor.parameters_model.model_json_schema(),
            "item": processor.item_model.model_json_schema(),
        }
        for processor in processors().values()
    ]


@router.get("/presets", response=list[schemas.PresetOut])
def list_presets(request: HttpRequest) -> list[Preset]:
    """List the patterns that a launch may start from."""
    return list(PRESETS)


@router.post("/batches", response={201: schemas.BatchCreated, 200: schemas.BatchCreated, **PROBLEMS})
def create_batch(
    request: HttpRequest,
    given: schemas.BatchIn,
    idempotency_key: Annotated[str | None, Header(alias="Idempotency-Key")] = None,
) -> tuple[int, dict[str, str]]:
    """Launch a batch. The same Idempotency-Key again gives the same batch, with 200 instead of 201."""
    operator = require_operator(request.user)
    asked = launch_request(given, idempotency_key)
    try:
        launched = launch(operator, asked)
    except LaunchRefused as error:
        raise Invalid(_at_plan(error.errors)) from error
    except IdempotencyConflict as error:
        raise Invalid({"Idempotency-Key": [str(error)]}) from error
    batch = launched.batch
    url = request.build_absolute_uri(reverse("batch-detail", args=[batch.pk]))
    return 201 if launched.created else 200, {"id": batch.pk, "url": url}


def launch_request(given: schemas.BatchIn, idempotency_key: str | None = None) -> LaunchRequest:
    """Return what is to be launched. Raises Invalid."""
    errors = dict[str, list[str]]()
    given = _with_preset(given)
    try:
        processor = get_processor(given.processor)
    except UnknownProcessor:
        known = ", ".join(processors())
        raise Invalid({"processor": [f"There is no processor {given.processor!r}. There are: {known}."]}) from None
    parameters = _checked("parameters", lambda: processor.validate_parameters(given.parameters), errors)
    plan = _checked("plan", lambda: Plan.model_validate(given.plan), errors)
    if idempotency_key is not None and not 1 <= len(idempotency_key) <= 190:
        errors["Idempotency-Key"] = ["From 1 to 190 characters."]
    source, survey = _survey(given, processor, errors)
    if plan is not None and not errors:
        errors |= _at_plan(refusals(processor.name, plan, survey.good))
    if errors or parameters is None or plan is None or source is None:
        raise Invalid(errors)
    return LaunchRequest(
        processor=processor.name,
        parameters=parameters.model_dump(mode="json"),
        plan=plan,
        count=survey.good,
        rows=lambda: item_input.rows(source, set()),
        digest=survey.digest,
        label=given.label,
        source={"kind": str(source.format), "upload": None, "name": "", "key": source.key, "left_out": 0},
        idempotency_key=f"api:{idempotency_key}" if idempotency_key else None,
        via="api",
    )


def _at_plan(errors: dict[str, str]) -> dict[str, list[str]]:
    return {f"plan.{name}": [reason] for name, reason in errors.items()}


def _with_preset(given: schemas.BatchIn) -> schemas.BatchIn:
    if given.preset is None:
        return given
    try:
        preset = get_preset(given.preset)
    except UnknownPreset:
        known = ", ".join(each.name for each in PRESETS)
        raise Invalid({"preset": [f"There is no preset {given.preset!r}. There are: {known}."]}) from None
    return given.model_copy(
        update={
            "processor": given.processor or preset.processor,
            "parameters": {**preset.parameters, **given.parameters},
            "plan": {**preset.plan, **given.plan},
        }
    )


def _survey(given: schemas.BatchIn, processor: Processor, errors: dict[str, list[str]]) -> tuple[Source | None, Survey]:
    if (given.items is None) == (given.count is None):
        errors["items"] = ["Give either items or count."]
        return None, Survey()
    if given.items is not None:
        source = item_input.list_source(given.items, given.key or "")
        place = "items"
    else:
        source = Source(Format.COUNT, count=given.count or 0)
        place = "count"
    survey = item_input.survey(source, processor, limit=settings.CANOPY_MAX_ITEMS)
    if survey.error:
        errors[place] = [survey.error]
    elif survey.bad:
        errors[place] = [f"Item {row.line}: {row.message}" for row in survey.bad[:BAD_ROWS_TOLD]]
    return source, survey


def _checked(place: str, validate: Callable[[], T], errors: dict[str, list[str]]) -> T | None:
    try:
        return validate()
    except ValidationError as error:
        for problem in error.errors():
            where = ".".join([place, *map(str, problem["loc"])])
            errors.setdefault(where, []).append(plain_words(problem))
        return None


@router.get("/batches/{batch_id}", response={200: schemas.BatchOut, **PROBLEMS})
def get_batch(request: HttpRequest, batch_id: str) -> dict[str, Any]:
    """Tell how far a batch is."""
    batch = _batch(batch_id)
    more = {"processor": batch.processor, "label": batch.label, "created_at": batch.created_at}
    schedule = {"id": batch.schedule.pk, "name": batch.schedule.name} if batch.schedule else None
    return batch_state(batch) | more | {"launched_by": batch.launched_by.get_username(), "schedule": schedule}


@router.get("/batches/{batch_id}/nodes", response={200: schemas.NodePage, **PROBLEMS})
def list_nodes(
    request: HttpRequest,
    batch_id: str,
    kind: Kind | None = None,
    status: NodeStatus | None = None,
    limit: Limit = 100,
    cursor: str | None = None,
) -> dict[str, Any]:
    """List a batch's nodes in the order they were made, a page at a time."""
    nodes = Node.objects.filter(batch=_batch(batch_id))
    if kind:
        nodes = nodes.filter(kind=kind)
    if status:
        nodes = nodes.filter(status=status)
    page, following = _page(nodes, "pk", limit, cursor)
    return {"results": [_node(node) for node in page], "next": following}


@router.get("/batches/{batch_id}/items", response={200: schemas.ItemPage, **PROBLEMS})
def list_items(
    request: HttpRequest,
    batch_id: str,
    status: NodeStatus | None = None,
    limit: Limit = 100,
    cursor: str | None = None,
) -> dict[str, Any]:
    """List a batch's items in input order, a page at a time."""
    items = Item.objects.filter(batch=_batch(batch_id)).with_shown_status()
    if status:
        items = items.filter(Q(shown_status=status))
    page, following = _page(items, "index", limit, cursor)
    return {"results": [_item(item) for item in page], "next": following}


@router.post("/batches/{batch_id}/retry", response={**OPERATION, 202: schemas.RetryOut})
def retry_batch(request: HttpRequest, batch_id: str, given: schemas.RetryIn) -> tuple[int, dict[str, Any]]:
    """Give children another attempt: those named, or all in a status."""
    if (given.nodes is None) == (given.status is None):
        raise Invalid({"nodes": ["Give either nodes or status."]})
    outcome = operations.retry(request.user, _batch(batch_id), nodes=given.nodes, status=given.status)
    refused = [{"id": refusal.node, "reason": refusal.reason} for refusal in outcome.refused]
    return 202, {"accepted": outcome.accepted, "refused": refused}


@router.post("/batches/{batch_id}/pause", response=OPERATION)
def pause_batch(request: HttpRequest, batch_id: str) -> tuple[int, dict[str, str]]:
    """Start no more children; open ones go on."""
    operations.pause(request.user, _batch(batch_id))
    return 202, {"detail": "Pause requested."}


@router.post("/batches/{batch_id}/resume", response=OPERATION)
def resume_batch(request: HttpRequest, batch_id: str) -> tuple[int, dict[str, str]]:
    """Start children again."""
    operations.resume(request.user, _batch(batch_id))
    return 202, {"detail": "Resume requested."}


@router.post("/batches/{batch_id}/skip", response=OPERATION)
def skip_failed(request: HttpRequest, batch_id: str) -> tuple[int, dict[str, str]]:
    """Let a held batch go on without what failed."""
    operations.skip(request.user, _batch(batch_id))
    return 202, {"detail": "Going on without what failed."}


@router.post("/batches/{batch_id}/decide", response=OPERATION)
def decide_batch(request: HttpRequest, batch_id: str, given: schemas.DecisionIn) -> tuple[int, dict[str, str]]:
    """Approve that a batch starts, or refuse."""
    operations.decide(request.user, _batch(batch_id), approved=given.approved)
    return 202, {"detail": "Approved." if given.approved else "Refused."}


@router.post("/batches/{batch_id}/finish", response=OPERATION)
def finish_batch(request: HttpRequest, batch_id: str) -> tuple[int, dict[str, str]]:
    """End a held batch as it is."""
    operations.finish(request.user, _batch(batch_id))
    return 202, {"detail": "Finish requested."}


@router.post("/batches/{batch_id}/cancel", response=OPERATION)
def cancel_batch(request: HttpRequest, batch_id: str) -> tuple[int, dict[str, str]]:
    """Ask all children to stop, and skip those pending."""
    operations.cancel(request.user, _batch(batch_id))
    return 202, {"detail": "Cancel requested."}


@router.post("/batches/{batch_id}/terminate", response=OPERATION)
def terminate_batch(
    request: HttpRequest, batch_id: str, given: schemas.TerminateIn | None = None
) -> tuple[int, dict[str, str]]:
    """End the batch at once, without cleaning up."""
    operations.terminate(request.user, _batch(batch_id), given.reason if given else "")
    return 202, {"detail": "Terminated."}


@router.post("/batches/{batch_id}/window", response=OPERATION)
def set_batch_window(request: HttpRequest, batch_id: str, given: schemas.WindowIn) -> tuple[int, dict[str, str]]:
    """Change how many children may be open at a time."""
    operations.set_window(request.user, _batch(batch_id), given.window)
    return 202, {"detail": "Change of window requested."}


def _batch(batch_id: str) -> Batch:
    batch = Batch.objects.select_related("launched_by", "schedule").filter(pk=batch_id).first()
    if batch is None:
        raise HttpError(404, f"There is no batch {batch_id}.")
    return batch


def _page(rows: QuerySet[M], order: str, limit: int, cursor: str | None) -> tuple[list[M], str | None]:
    """Return a page of rows after the cursor (the last value seen), and the next cursor."""
    if cursor is not None:
        if not (cursor.isdecimal() and len(cursor) < 19):
            raise Invalid({"cursor": ["This is not a cursor that was given out."]})
        rows = rows.filter(**{f"{order}__gt": int(cursor)})
    found = list(rows.order_by(order)[: limit + 1])
    following = str(getattr(found[limit - 1], order)) if len(found) > limit else None
    return found[:limit], following


def _error(row: Node | Item) -> dict[str, str] | None:
    return {"type": row.error_type, "message": row.error_message} if row.error_type else None


def _node(node: Node) -> dict[str, Any]:
    return {
        "id": node.pk,
        "workflow_id": node.workflow_id,
        "run_id": node.run_id,
        "parent": node.parent_id,
        "kind": node.kind,
        "position": node.position,
        "label": node.label,
        "note": node.note,
        "status": node.status,
        "attempt": node.attempt,
        "started_at": node.started_at,
        "closed_at": node.closed_at,
        "error": _error(node),
    }


def _item(item: Any) -> dict[str, Any]:
    return {
        "index": item.index,
        "key": item.key,
        "child": item.child,
        "data": item.data,
        "status": item.shown_status,
        "attempts": item.attempts,
        "result": item.result,
        "error": _error(item) if item.shown_status == NodeStatus.FAILED else None,
        "duration": item.duration,
        "finished_at": item.finished_at,
        "undone_at": item.undone_at,
        "undo_error": item.undo_error,
    }
