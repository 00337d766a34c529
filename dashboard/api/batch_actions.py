"""Actions on one batch: retry, pause, resume, skip, decide, finish, cancel, terminate, roll back, window."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Router, Schema, Status
from ninja.errors import HttpError
from pydantic import ConfigDict, Field

from dashboard.actions import batch as batch_actions
from dashboard.actions import operations
from dashboard.actions.targets import Targets, targets_with_error
from dashboard.api.batches import find_batch
from dashboard.api.responses import OPERATION
from dashboard.errors import FieldErrors
from dashboard.models import Node

router = Router(tags=["Batches"])


class RetryIn(Schema):
    """Which children: ids of nodes, a status ("failed", "unfinished", or one outcome), or the signature of an error."""

    model_config = ConfigDict(extra="forbid")

    nodes: list[int] | None = None
    status: str | None = None
    signature: str = Field(default="", max_length=16)


class RefusalOut(Schema):
    """A child that was refused."""

    id: int
    reason: str


class RetryOut(Schema):
    """Ids of the children that are retried, those that were refused, and whether a flow resumes where it stopped."""

    accepted: list[int]
    refused: list[RefusalOut]
    goes_on: bool = False


class TerminateIn(Schema):
    """Why, for the record."""

    reason: str = Field(default="", max_length=200)


class DecisionIn(Schema):
    """Whether the batch may start."""

    approved: bool


class WindowIn(Schema):
    """How many children may be open at a time."""

    window: int


@router.post("/batches/{batch_id}/retry", response={**OPERATION, 202: RetryOut})
def retry_batch(request: HttpRequest, batch_id: str, given: RetryIn) -> Status[dict[str, Any]]:
    """Retry children: those named, all in a status, or all with one error."""
    chosen = {"nodes": given.nodes, "status": given.status, "signature": given.signature or None}
    if sum(each is not None for each in chosen.values()) != 1:
        raise FieldErrors({"nodes": ["Provide nodes, a status or the signature of an error."]})
    choice = targets_with_error(given.signature) if given.signature else Targets(given.nodes, given.status or "")
    outcome = operations.retry(request.user, find_batch(batch_id), choice)
    refused = [{"id": refusal.node, "reason": refusal.reason} for refusal in outcome.refused]
    return Status(202, {"accepted": outcome.accepted, "refused": refused, "goes_on": outcome.resumes_flow})


@router.post("/batches/{batch_id}/pause", response=OPERATION)
def pause_batch(request: HttpRequest, batch_id: str) -> Status[dict[str, str]]:
    """Start no more children; open ones go on."""
    batch_actions.pause(request.user, find_batch(batch_id))
    return Status(202, {"detail": "Pause requested."})


@router.post("/batches/{batch_id}/resume", response=OPERATION)
def resume_batch(request: HttpRequest, batch_id: str) -> Status[dict[str, str]]:
    """Start children again."""
    batch_actions.resume(request.user, find_batch(batch_id))
    return Status(202, {"detail": "Resume requested."})


@router.post("/batches/{batch_id}/nodes/{node_id}/pause", response=OPERATION)
def pause_worker(request: HttpRequest, batch_id: str, node_id: int) -> Status[dict[str, str]]:
    """Pause one worker of a pool: it takes no further chunk."""
    batch_actions.set_worker_paused(request.user, _find_worker(batch_id, node_id), paused=True)
    return Status(202, {"detail": "Pause requested."})


@router.post("/batches/{batch_id}/nodes/{node_id}/resume", response=OPERATION)
def resume_worker(request: HttpRequest, batch_id: str, node_id: int) -> Status[dict[str, str]]:
    """Resume a paused worker of a pool."""
    batch_actions.set_worker_paused(request.user, _find_worker(batch_id, node_id), paused=False)
    return Status(202, {"detail": "Resume requested."})


@router.post("/batches/{batch_id}/skip", response=OPERATION)
def skip_failed(request: HttpRequest, batch_id: str) -> Status[dict[str, str]]:
    """Skip the failed children of a held batch and continue it."""
    batch_actions.skip(request.user, find_batch(batch_id))
    return Status(202, {"detail": "Skipped the failed children."})


@router.post("/batches/{batch_id}/decide", response=OPERATION)
def decide_batch(request: HttpRequest, batch_id: str, given: DecisionIn) -> Status[dict[str, str]]:
    """Approve or reject the start of a batch."""
    batch_actions.decide(request.user, find_batch(batch_id), approved=given.approved)
    return Status(202, {"detail": "Approved." if given.approved else "Refused."})


@router.post("/batches/{batch_id}/finish", response=OPERATION)
def finish_batch(request: HttpRequest, batch_id: str) -> Status[dict[str, str]]:
    """Close a held batch as it is."""
    batch_actions.finish(request.user, find_batch(batch_id))
    return Status(202, {"detail": "Finish requested."})


@router.post("/batches/{batch_id}/cancel", response=OPERATION)
def cancel_batch(request: HttpRequest, batch_id: str) -> Status[dict[str, str]]:
    """Request cancellation of all open children, and skip the pending ones."""
    batch_actions.cancel(request.user, find_batch(batch_id))
    return Status(202, {"detail": "Cancel requested."})


@router.post("/batches/{batch_id}/terminate", response=OPERATION)
def terminate_batch(request: HttpRequest, batch_id: str, given: TerminateIn | None = None) -> Status[dict[str, str]]:
    """Terminate the batch at once, without cleanup."""
    batch_actions.terminate(request.user, find_batch(batch_id), given.reason if given else "")
    return Status(202, {"detail": "Terminated."})


@router.post("/batches/{batch_id}/rollback", response=OPERATION)
def roll_back_batch(request: HttpRequest, batch_id: str) -> Status[dict[str, str]]:
    """Undo what a closed batch has completed; its processor needs a compensation."""
    return Status(202, {"detail": batch_actions.roll_back(request.user, find_batch(batch_id))})


@router.post("/batches/{batch_id}/window", response=OPERATION)
def set_batch_window(request: HttpRequest, batch_id: str, given: WindowIn) -> Status[dict[str, str]]:
    """Change how many children may be open at a time."""
    batch_actions.set_window(request.user, find_batch(batch_id), given.window)
    return Status(202, {"detail": "Window change requested."})


def _find_worker(batch_id: str, node_id: int) -> Node:
    node = Node.objects.select_related("batch").filter(batch=find_batch(batch_id), pk=node_id).first()
    if node is None:
        raise HttpError(404, f"Batch {batch_id} has no node {node_id}.")
    return node
