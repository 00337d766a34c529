"""Batches: launch, watch, state, diagnosis, errors and reports. Same permissions and actions as the pages."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, TypeVar

from django.http import HttpRequest
from ninja import Header, Router, Schema, Status
from ninja.errors import HttpError
from pydantic import Field

from dashboard.accounts.permissions import require_operator
from dashboard.api.launch import BatchIn, launch_request
from dashboard.api.responses import PROBLEMS
from dashboard.errors import FieldErrors
from dashboard.launching.launch import launch
from dashboard.launching.request import IdempotencyConflict
from dashboard.launching.watch import UnknownWorkflow, watch
from dashboard.live.state import batch_state
from dashboard.models import AuditEntry, Batch
from dashboard.queries.diagnosis import Diagnosis, diagnosis_of
from dashboard.queries.error_groups import ErrorGroup, error_groups
from dashboard.server.public_url import url_for
from orchestration.temporal.connection import TemporalUnavailable

AUDIT_SHOWN = 500

router = Router(tags=["Batches"])
T = TypeVar("T")


class BatchCreated(Schema):
    """A batch that was launched or is watched, and the URL of its page."""

    id: str
    url: str


class WatchIn(Schema):
    """A workflow whose tree to watch: the id of its root, or of any workflow below it."""

    workflow_id: str = Field(min_length=1, max_length=1000)


class CountsOut(Schema):
    """Children or items by status; `scheduled` are those of running ones that wait for a worker."""

    total: int
    pending: int
    scheduled: int
    running: int
    completed: int
    failed: int
    canceled: int
    terminated: int
    timed_out: int
    skipped: int


class HeldOut(Schema):
    """Which decision a held batch waits for ("failures", or "gate" for an approval), why, and until when."""

    kind: str
    reason: str
    until: datetime | None


class BlockedOut(Schema):
    """A workflow of a batch whose workflow task Temporal keeps retrying: the first of `workflows` that do, its newest
    error, and since when. It ends by itself once the task succeeds.
    """

    workflow_id: str
    workflow_type: str
    reason: str
    since: datetime
    workflows: int


class LostOut(Schema):
    """What a restored or lost database or Temporal no longer has of a batch, and since when that is known: `workflows`
    that ran and are not listed, `children` to run again, and their `items` without a result.
    """

    since: datetime
    workflows: int
    children: int
    items: int


class NamedOut(Schema):
    """A reference by id and name."""

    id: str
    name: str


class BatchOut(Schema):
    """The state of a batch. `status`: scheduled while no worker serves its task queue; failed where its root failed, or
    where nothing completed; completed_with_failures where something did and something did not; completed where
    everything did. `root_status`: that of the root alone. `elapsed`: the seconds it has run, without pauses and holds.
    `items` counts an item in each stage that it passes, `progress` once.
    """

    id: str
    status: str
    root_status: str
    revision: int
    processor: str
    label: str
    launched_by: str
    schedule: NamedOut | None
    created_at: datetime
    opened_at: datetime | None
    closed_at: datetime | None
    window: int
    elapsed: float | None
    rate: float | None
    eta: float | None
    start_error: str
    held: HeldOut | None
    blocked: BlockedOut | None
    lost: LostOut | None
    children: CountsOut
    items: CountsOut
    progress: CountsOut


class FindingOut(Schema):
    """One reason why a batch makes no progress, and what to do about it. Severities: problem, warning, info."""

    code: str
    severity: str
    subject: str
    what: str
    advice: str
    detail: str
    since: datetime | None


class DiagnosisOut(Schema):
    """Whether the batch changed within the last ten seconds, and what is known to block it."""

    moving: bool
    findings: list[FindingOut]


class ErrorGroupOut(Schema):
    """Failures with the same error signature. `number`: items that have it now (children where no item failed);
    `under_way`: being retried; `mended`: completed after a retry; `of_batch`: the share of the batch, from 0 to 1.
    """

    signature: str
    error_type: str
    template: str
    sample: str
    number: int
    children: int
    under_way: int
    mended: int
    of_batch: float
    of_items: bool
    first: datetime | None
    last: datetime | None


class AuditOut(Schema):
    """What a person did to a batch, with which API token if any, and what came of it.

    `not_known_since` is when Temporal was asked without an answer, as long as it is not known what came of that.
    """

    id: int
    at: datetime
    person: str
    token: str = ""
    action: str
    scope: str
    outcome: str
    not_known_since: datetime | None


@router.post("/batches", response={201: BatchCreated, 200: BatchCreated, **PROBLEMS})
def create_batch(
    request: HttpRequest,
    given: BatchIn,
    idempotency_key: Annotated[str | None, Header(alias="Idempotency-Key")] = None,
) -> Status[dict[str, str]]:
    """Launch a batch. The same Idempotency-Key again returns the same batch, with 200 instead of 201."""
    operator = require_operator(request.user)
    launch_input = launch_request(given, idempotency_key)
    try:
        launched = launch(operator, launch_input)
    except FieldErrors as error:
        raise error.below("plan") from error
    except IdempotencyConflict as error:
        raise FieldErrors({"Idempotency-Key": str(error)}) from error
    batch = launched.batch
    url = url_for(request, "batch-detail", batch.pk)
    return Status(201 if launched.created else 200, {"id": batch.pk, "url": url})


@router.post(
    "/watches",
    response={201: BatchCreated, 200: BatchCreated, **PROBLEMS},
)
def create_watch(request: HttpRequest, given: WatchIn) -> Status[dict[str, str]]:
    """Watch the tree of a workflow that Canopy did not launch. Watching it again returns the same batch with 200."""
    try:
        watched = watch(request.user, given.workflow_id, via="api")
    except UnknownWorkflow as error:
        raise FieldErrors({"workflow_id": [str(error)]}) from error
    except TemporalUnavailable as error:
        raise HttpError(503, str(error)) from error
    url = url_for(request, "batch-detail", watched.batch.pk)
    return Status(201 if watched.created else 200, {"id": watched.batch.pk, "url": url})


@router.get("/batches/{batch_id}", response={200: BatchOut, **PROBLEMS})
def get_batch(request: HttpRequest, batch_id: str) -> dict[str, Any]:
    """Return the state of a batch."""
    batch = find_batch(batch_id)
    more = {"processor": batch.processor, "label": batch.label, "created_at": batch.created_at}
    schedule = {"id": batch.schedule.pk, "name": batch.schedule.name} if batch.schedule else None
    return batch_state(batch) | more | {"launched_by": batch.launched_by.get_username(), "schedule": schedule}


@router.get("/batches/{batch_id}/diagnosis", response={200: DiagnosisOut, **PROBLEMS})
def diagnose_batch(request: HttpRequest, batch_id: str) -> Diagnosis:
    """List the reasons why a batch makes no progress, gravest first, each with advice."""
    return diagnosis_of(find_batch(batch_id))


@router.get("/batches/{batch_id}/errors", response={200: list[ErrorGroupOut], **PROBLEMS})
def list_errors(request: HttpRequest, batch_id: str) -> Sequence[ErrorGroup]:
    """List the errors of a batch, failures with the same signature grouped, the most frequent first."""
    return error_groups(find_batch(batch_id)).shown


@router.get("/batches/{batch_id}/audit", response={200: list[AuditOut], **PROBLEMS})
def list_audit(request: HttpRequest, batch_id: str) -> list[dict[str, Any]]:
    """List what people did to a batch, newest first, 500 at most. Also of one that retention has deleted."""
    entries = AuditEntry.objects.filter(batch_id=batch_id).select_related("person", "unanswered")[:AUDIT_SHOWN]
    if not entries:
        find_batch(batch_id)
    return [
        {
            "id": entry.pk,
            "at": entry.at,
            "person": entry.person.get_username(),
            "token": entry.token,
            "action": entry.action,
            "scope": entry.scope,
            "outcome": entry.outcome,
            "not_known_since": entry.not_known_since,
        }
        for entry in entries
    ]


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
