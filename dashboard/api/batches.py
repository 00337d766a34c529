"""The API's batches: the same permissions and the same path as the forms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

from django.http import HttpRequest
from django.urls import reverse
from ninja import Header, Router
from ninja.errors import HttpError

from dashboard.accounts.permissions import require_operator
from dashboard.api import schemas
from dashboard.api.launch_requests import launch_request
from dashboard.api.responses import PROBLEMS
from dashboard.errors import FieldErrors
from dashboard.launching.launch import launch
from dashboard.launching.request import IdempotencyConflict
from dashboard.launching.watch import UnknownWorkflow, watch
from dashboard.live.state import batch_state
from dashboard.models import Batch
from dashboard.queries.diagnosis import Diagnosis, diagnosis_of
from dashboard.queries.error_groups import ErrorGroup, error_groups
from orchestration.temporal.connection import TemporalUnavailable

router = Router(tags=["Batches"])
T = TypeVar("T")


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
    except FieldErrors as error:
        raise error.below("plan") from error
    except IdempotencyConflict as error:
        raise FieldErrors({"Idempotency-Key": str(error)}) from error
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
        raise FieldErrors({"workflow_id": [str(error)]}) from error
    except TemporalUnavailable as error:
        raise HttpError(503, str(error)) from error
    url = request.build_absolute_uri(reverse("batch-detail", args=[watched.batch.pk]))
    return 201 if watched.created else 200, {"id": watched.batch.pk, "url": url}


@router.get("/batches/{batch_id}", response={200: schemas.BatchOut, **PROBLEMS})
def get_batch(request: HttpRequest, batch_id: str) -> dict[str, Any]:
    """Tell how far a batch is."""
    batch = find_batch(batch_id)
    more = {"processor": batch.processor, "label": batch.label, "created_at": batch.created_at}
    schedule = {"id": batch.schedule.pk, "name": batch.schedule.name} if batch.schedule else None
    return batch_state(batch) | more | {"launched_by": batch.launched_by.get_username(), "schedule": schedule}


@router.get("/batches/{batch_id}/diagnosis", response={200: schemas.DiagnosisOut, **PROBLEMS, 503: schemas.Problem})
def diagnose_batch(request: HttpRequest, batch_id: str) -> Diagnosis:
    """Say why a batch does not move, gravest first, and what to do."""
    return diagnosis_of(find_batch(batch_id))


@router.get("/batches/{batch_id}/errors", response={200: list[schemas.ErrorGroupOut], **PROBLEMS})
def list_errors(request: HttpRequest, batch_id: str) -> Sequence[ErrorGroup]:
    """List the errors of a batch's failures, those together that are one to a person, the most frequent first."""
    return error_groups(find_batch(batch_id)).shown


@router.get("/batches/{batch_id}/reports", response=list[dict[str, Any]])
def list_reports(request: HttpRequest, batch_id: str) -> list[dict[str, Any]]:
    """List the reports of a batch, oldest first: one for each run of its root that closed with `summarise`."""
    return [report.content for report in find_batch(batch_id).reports.all()]


def find_batch(batch_id: str) -> Batch:
    """Return a batch. Raises HttpError 404."""
    batch = Batch.objects.select_related("launched_by", "schedule").filter(pk=batch_id).first()
    if batch is None:
        raise HttpError(404, f"There is no batch {batch_id}.")
    return batch
