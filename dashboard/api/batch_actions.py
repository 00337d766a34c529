"""Actions on one batch over the API: retry, pause, resume, skip, decide, cancel, roll back."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Router
from ninja.errors import HttpError

from dashboard.actions import batch as batch_actions
from dashboard.actions import operations
from dashboard.actions.targets import Targets, targets_with_error
from dashboard.api import schemas
from dashboard.api.batches import find_batch
from dashboard.api.responses import OPERATION
from dashboard.errors import FieldErrors
from dashboard.models import Node

router = Router(tags=["Batches"])


@router.post("/batches/{batch_id}/retry", response={**OPERATION, 202: schemas.RetryOut})
def retry_batch(request: HttpRequest, batch_id: str, given: schemas.RetryIn) -> tuple[int, dict[str, Any]]:
    """Give children another attempt: those named, or all in a status."""
    chosen = {"nodes": given.nodes, "status": given.status, "signature": given.signature or None}
    if sum(each is not None for each in chosen.values()) != 1:
        raise FieldErrors({"nodes": ["Give either nodes or status, or the signature of an error."]})
    choice = targets_with_error(given.signature) if given.signature else Targets(given.nodes, given.status or "")
    outcome = operations.retry(request.user, find_batch(batch_id), choice)
    refused = [{"id": refusal.node, "reason": refusal.reason} for refusal in outcome.refused]
    return 202, {"accepted": outcome.accepted, "refused": refused, "goes_on": outcome.goes_on}


@router.post("/batches/{batch_id}/pause", response=OPERATION)
def pause_batch(request: HttpRequest, batch_id: str) -> tuple[int, dict[str, str]]:
    """Start no more children; open ones go on."""
    batch_actions.pause(request.user, find_batch(batch_id))
    return 202, {"detail": "Pause requested."}


@router.post("/batches/{batch_id}/resume", response=OPERATION)
def resume_batch(request: HttpRequest, batch_id: str) -> tuple[int, dict[str, str]]:
    """Start children again."""
    batch_actions.resume(request.user, find_batch(batch_id))
    return 202, {"detail": "Resume requested."}


@router.post("/batches/{batch_id}/nodes/{node_id}/pause", response=OPERATION)
def pause_worker(request: HttpRequest, batch_id: str, node_id: int) -> tuple[int, dict[str, str]]:
    """Pause one worker of a pool: it takes no further chunk."""
    batch_actions.set_worker_paused(request.user, _worker(batch_id, node_id), paused=True)
    return 202, {"detail": "Pause requested."}


@router.post("/batches/{batch_id}/nodes/{node_id}/resume", response=OPERATION)
def resume_worker(request: HttpRequest, batch_id: str, node_id: int) -> tuple[int, dict[str, str]]:
    """Have a paused worker of a pool go on."""
    batch_actions.set_worker_paused(request.user, _worker(batch_id, node_id), paused=False)
    return 202, {"detail": "Resume requested."}


@router.post("/batches/{batch_id}/skip", response=OPERATION)
def skip_failed(request: HttpRequest, batch_id: str) -> tuple[int, dict[str, str]]:
    """Let a held batch go on without what failed."""
    batch_actions.skip(request.user, find_batch(batch_id))
    return 202, {"detail": "Going on without what failed."}


@router.post("/batches/{batch_id}/decide", response=OPERATION)
def decide_batch(request: HttpRequest, batch_id: str, given: schemas.DecisionIn) -> tuple[int, dict[str, str]]:
    """Approve that a batch starts, or refuse."""
    batch_actions.decide(request.user, find_batch(batch_id), approved=given.approved)
    return 202, {"detail": "Approved." if given.approved else "Refused."}


@router.post("/batches/{batch_id}/finish", response=OPERATION)
def finish_batch(request: HttpRequest, batch_id: str) -> tuple[int, dict[str, str]]:
    """End a held batch as it is."""
    batch_actions.finish(request.user, find_batch(batch_id))
    return 202, {"detail": "Finish requested."}


@router.post("/batches/{batch_id}/cancel", response=OPERATION)
def cancel_batch(request: HttpRequest, batch_id: str) -> tuple[int, dict[str, str]]:
    """Ask all children to stop, and skip those pending."""
    batch_actions.cancel(request.user, find_batch(batch_id))
    return 202, {"detail": "Cancel requested."}


@router.post("/batches/{batch_id}/terminate", response=OPERATION)
def terminate_batch(
    request: HttpRequest, batch_id: str, given: schemas.TerminateIn | None = None
) -> tuple[int, dict[str, str]]:
    """End the batch at once, without cleaning up."""
    batch_actions.terminate(request.user, find_batch(batch_id), given.reason if given else "")
    return 202, {"detail": "Terminated."}


@router.post("/batches/{batch_id}/rollback", response=OPERATION)
def roll_back_batch(request: HttpRequest, batch_id: str) -> tuple[int, dict[str, str]]:
    """Undo everything that a closed batch has completed, where its processor says how."""
    return 202, {"detail": batch_actions.roll_back(request.user, find_batch(batch_id))}


@router.post("/batches/{batch_id}/window", response=OPERATION)
def set_batch_window(request: HttpRequest, batch_id: str, given: schemas.WindowIn) -> tuple[int, dict[str, str]]:
    """Change how many children may be open at a time."""
    batch_actions.set_window(request.user, find_batch(batch_id), given.window)
    return 202, {"detail": "Change of window requested."}


def _worker(batch_id: str, node_id: int) -> Node:
    node = Node.objects.select_related("batch").filter(batch=find_batch(batch_id), pk=node_id).first()
    if node is None:
        raise HttpError(404, f"Batch {batch_id} has no node {node_id}.")
    return node
