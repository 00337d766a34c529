"""The API's batches: the same permissions and the same path as the forms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from ninja import File, Header, Query, Router, UploadedFile
from ninja.errors import HttpError

from dashboard import on_children, operations
from dashboard.api import schemas
from dashboard.api.launch_requests import Invalid, at_plan, launch_request
from dashboard.choosing import Choice, with_error
from dashboard.diagnosis import Diagnosis, diagnosis_of
from dashboard.error_groups import ErrorGroup, error_groups
from dashboard.launching import IdempotencyConflict, LaunchRefused, launch
from dashboard.live import batch_state
from dashboard.models import Batch, Item, Kind, Node, NodeStatus
from dashboard.permissions import require_operator
from dashboard.uploads import keep, problem_of
from dashboard.watching import UnknownWorkflow, watch
from orchestration.connection import TemporalUnavailable
from orchestration.error_kinds import error_kind
from orchestration.presets import PRESETS, Preset
from orchestration.processors.catalogue import processors

router = Router(tags=["Batches"])


PAGE_MAX = 1_000

M = TypeVar("M", bound=Model)
T = TypeVar("T")
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]

PROBLEMS = {401: schemas.Problem, 403: schemas.Problem, 404: schemas.Problem, 422: schemas.Problem}
OPERATION = {202: schemas.Accepted, **PROBLEMS, 409: schemas.Problem, 503: schemas.Problem}


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


@router.post("/uploads", response={201: schemas.UploadOut, **PROBLEMS})
def create_upload(request: HttpRequest, file: File[UploadedFile]) -> tuple[int, dict[str, Any]]:
    """Keep a file, to be named by its id where a parameter is one: {"upload": id}."""
    operator = require_operator(request.user)
    if problem := problem_of(file):
        raise Invalid({"file": [problem]})
    upload = keep(operator, file.name or "file", file)
    return 201, {"id": upload.pk, "name": upload.name, "size": upload.size}


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
        raise Invalid(at_plan(error.errors)) from error
    except IdempotencyConflict as error:
        raise Invalid({"Idempotency-Key": [str(error)]}) from error
    batch = launched.batch
    url = request.build_absolute_uri(reverse("batch-detail", args=[batch.pk]))
    return 201 if launched.created else 200, {"id": batch.pk, "url": url}


@router.post(
    "/watches",
    response={201: schemas.BatchCreated, 200: schemas.BatchCreated, **PROBLEMS, 503: schemas.Problem},
)
def create_watch(request: HttpRequest, given: schemas.WatchIn) -> tuple[int, dict[str, str]]:
    """Watch the tree of a workflow that Canopy did not launch. The same again gives the same batch, with 200."""
    try:
        watched = watch(request.user, given.workflow_id, via="api")
    except UnknownWorkflow as error:
        raise Invalid({"workflow_id": [str(error)]}) from error
    except TemporalUnavailable as error:
        raise HttpError(503, str(error)) from error
    url = request.build_absolute_uri(reverse("batch-detail", args=[watched.batch.pk]))
    return 201 if watched.created else 200, {"id": watched.batch.pk, "url": url}


@router.get("/batches/{batch_id}", response={200: schemas.BatchOut, **PROBLEMS})
def get_batch(request: HttpRequest, batch_id: str) -> dict[str, Any]:
    """Tell how far a batch is."""
    batch = _batch(batch_id)
    more = {"processor": batch.processor, "label": batch.label, "created_at": batch.created_at}
    schedule = {"id": batch.schedule.pk, "name": batch.schedule.name} if batch.schedule else None
    return batch_state(batch) | more | {"launched_by": batch.launched_by.get_username(), "schedule": schedule}


@router.get("/batches/{batch_id}/diagnosis", response={200: schemas.DiagnosisOut, **PROBLEMS, 503: schemas.Problem})
def diagnose_batch(request: HttpRequest, batch_id: str) -> Diagnosis:
    """Say why a batch does not move, gravest first, and what to do."""
    return diagnosis_of(_batch(batch_id))


@router.get("/batches/{batch_id}/errors", response={200: list[schemas.ErrorGroupOut], **PROBLEMS})
def list_errors(request: HttpRequest, batch_id: str) -> Sequence[ErrorGroup]:
    """List the errors of a batch's failures, those together that are one to a person, the most frequent first."""
    return error_groups(_batch(batch_id)).shown


@router.get("/batches/{batch_id}/reports", response=list[dict[str, Any]])
def list_reports(request: HttpRequest, batch_id: str) -> list[dict[str, Any]]:
    """List the reports of a batch, oldest first: one for each run of its root that closed with `summarise`."""
    return [report.content for report in _batch(batch_id).reports.all()]


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
    chosen = {"nodes": given.nodes, "status": given.status, "signature": given.signature or None}
    if sum(each is not None for each in chosen.values()) != 1:
        raise Invalid({"nodes": ["Give either nodes or status, or the signature of an error."]})
    choice = with_error(given.signature) if given.signature else Choice(given.nodes, given.status or "")
    outcome = on_children.retry(request.user, _batch(batch_id), choice)
    refused = [{"id": refusal.node, "reason": refusal.reason} for refusal in outcome.refused]
    return 202, {"accepted": outcome.accepted, "refused": refused, "goes_on": outcome.goes_on}


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


@router.post("/batches/{batch_id}/nodes/{node_id}/pause", response=OPERATION)
def pause_worker(request: HttpRequest, batch_id: str, node_id: int) -> tuple[int, dict[str, str]]:
    """Pause one worker of a pool: it takes no further chunk."""
    operations.steer_worker(request.user, _worker(batch_id, node_id), paused=True)
    return 202, {"detail": "Pause requested."}


@router.post("/batches/{batch_id}/nodes/{node_id}/resume", response=OPERATION)
def resume_worker(request: HttpRequest, batch_id: str, node_id: int) -> tuple[int, dict[str, str]]:
    """Have a paused worker of a pool go on."""
    operations.steer_worker(request.user, _worker(batch_id, node_id), paused=False)
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


@router.post("/batches/{batch_id}/rollback", response=OPERATION)
def roll_back_batch(request: HttpRequest, batch_id: str) -> tuple[int, dict[str, str]]:
    """Undo everything that a closed batch has completed, where its processor says how."""
    return 202, {"detail": operations.roll_back(request.user, _batch(batch_id))}


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


def _worker(batch_id: str, node_id: int) -> Node:
    node = Node.objects.select_related("batch").filter(batch=_batch(batch_id), pk=node_id).first()
    if node is None:
        raise HttpError(404, f"Batch {batch_id} has no node {node_id}.")
    return node


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
    if not row.error_type:
        return None
    return {"kind": error_kind(row.error_type), "type": row.error_type, "message": row.error_message}


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
        "dropped": item.dropped,
        "undo_error": item.undo_error,
    }
