"""Operations: what a person may do to a batch after its launch. The one path of the buttons and the API; those
on many children are in `on_children`.

Each asks for the operator's role, asks Temporal through the gateway, and leaves an audit entry with its outcome.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.utils import timezone
from django.utils.translation import gettext as _

from dashboard.accounts.audit import audited
from dashboard.accounts.permissions import Person, require_operator
from dashboard.actions.rollback import may_roll_back, rollback_input
from dashboard.errors import OperationError
from dashboard.i18n.formatting import numeral
from dashboard.live.doorbell import announce_change_from_thread
from dashboard.models import Batch, Hold, Node
from dashboard.projection import settlement
from dashboard.projection.events import apply_events
from dashboard.temporal import gateway
from orchestration.contracts.events import EventKind, NodeKind, TreeEvent
from orchestration.contracts.status import Status
from orchestration.contracts.workflow_ids import root_id
from orchestration.plan.plan import Plan


def pause(person: Person, batch: Batch) -> None:
    """Start no more children; open ones go on. Raises PermissionDenied, OperationError."""
    _require_own_batch(batch)
    _request(require_operator(person), batch, "pause", lambda: gateway().pause(batch.pk))


def resume(person: Person, batch: Batch) -> None:
    """Start children again. Raises PermissionDenied, OperationError."""
    _require_own_batch(batch)
    _request(require_operator(person), batch, "resume", lambda: gateway().resume(batch.pk))


def set_worker_paused(person: Person, worker: Node, *, paused: bool) -> None:
    """Pause one worker of a pool, or have it go on. Raises PermissionDenied, OperationError (409 when it has gone)."""
    operator = require_operator(person)
    if worker.kind != NodeKind.POOL_WORKER or worker.status != Status.RUNNING:
        raise OperationError(_("This is no pool worker that runs."), 409)
    action, scope = "pause worker" if paused else "resume worker", f"worker {worker.label}"
    _request(
        operator,
        worker.batch,
        action,
        lambda: gateway().steer_worker(worker.workflow_id, paused=paused),
        scope=scope,
    )


def skip(person: Person, batch: Batch) -> None:
    """Let a held batch go on without what failed. Raises PermissionDenied, OperationError (409 when it is not held)."""
    _release(require_operator(person), batch, "skip", lambda: gateway().skip(batch.pk))


def finish(person: Person, batch: Batch) -> None:
    """End a held batch as it is. Raises PermissionDenied, OperationError (409 when it is not held)."""
    _release(require_operator(person), batch, "finish", lambda: gateway().finish(batch.pk))


def decide(person: Person, batch: Batch, *, approved: bool) -> None:
    """Approve that a batch starts, or refuse. Raises PermissionDenied, OperationError (409 when nobody is asked)."""
    operator = require_operator(person)
    if batch.held_kind != Hold.APPROVAL:
        raise OperationError(_("The batch does not wait for approval."), 409)
    name = operator.get_username()
    action = "approve" if approved else "refuse"
    _request(operator, batch, action, lambda: gateway().decide(batch.pk, approved=approved, person=name))


def _release(operator: User, batch: Batch, action: str, call: Callable[[], Awaitable[None]]) -> None:
    if batch.held_kind != Hold.FAILURES:
        raise OperationError(_("The batch is not held."), 409)
    _request(operator, batch, action, call, scope=batch.held_reason)


def cancel(person: Person, batch: Batch) -> None:
    """Ask all children to stop and clean up, and skip those pending. Raises PermissionDenied, OperationError."""
    _request(require_operator(person), batch, "cancel", lambda: gateway().cancel(batch.workflows.root))


def terminate(person: Person, batch: Batch, reason: str = "") -> None:
    """End the batch at once, without cleaning up. Raises PermissionDenied, OperationError."""
    operator = require_operator(person)
    why = f"{operator.get_username()}: {reason or 'no reason given'}"
    _request(
        operator,
        batch,
        "terminate",
        lambda: gateway().terminate(batch.workflows.root, why),
        scope=reason,
    )


def roll_back(person: Person, batch: Batch) -> str:
    """Undo all that a closed batch has completed, and return what was begun.

    Raises PermissionDenied, OperationError (409 while it runs, or where nothing is left that could be undone).
    """
    operator = require_operator(person)
    if not may_roll_back(batch):
        why = _("It is still open.") if batch.is_open else _("Nothing that it does can be undone.")
        raise OperationError(why, 409)
    root, number = rollback_input(batch)
    if not number:
        raise OperationError(_("Nothing of it is left to undo."), 409)
    with audited(operator, batch, "roll back", f"{number:,} children"):
        run_id = async_to_sync(gateway().roll_back)(root)
    started = TreeEvent(EventKind.STARTED, root_id(batch.pk), run_id, timezone.now())
    apply_events(batch.pk, [started])
    announce_change_from_thread(batch.pk)
    return _("Rolling back: what %(number)s %(else)s completed is undone.") % {
        "number": numeral(number),
        "else": "child" if number == 1 else "children",
    }


def set_window(person: Person, batch: Batch, window: int) -> None:
    """Change how many children may be open. Raises PermissionDenied, OperationError (422 out of bounds)."""
    operator = require_operator(person)
    _require_own_batch(batch)
    check_window(window)
    scope = f"{batch.window} → {window}"
    _request(operator, batch, "window", lambda: gateway().set_window(batch.pk, window), scope=scope)


def check_window(window: int) -> None:
    """Raise OperationError (422) for a window that is out of bounds."""
    least, most = window_bounds()
    if not least <= window <= most:
        raise OperationError(
            _("The window must be from %(least)s to %(most)s.") % {"least": least, "most": numeral(most)}, 422
        )


def window_bounds() -> tuple[int, int]:
    """Return the smallest window that a plan may have, and the largest."""
    bounds = Plan.model_json_schema()["properties"]["window"]
    return bounds["minimum"], bounds["maximum"]


def discard(person: Person, batch: Batch) -> None:
    """Give up a batch that has not started. Raises PermissionDenied, OperationError (409 once it has)."""
    operator = require_operator(person)
    with audited(operator, batch, "discard", ""):
        if not settlement.discard(batch.pk):
            raise OperationError(_("The batch has started: cancel it instead."), 409)
    announce_change_from_thread(batch.pk)


def _require_own_batch(batch: Batch) -> None:
    if batch.watched_id:
        raise OperationError(_("Canopy only watches this tree: its own parents say how it goes on."), 409)


def _request(
    operator: User, batch: Batch, action: str, call: Callable[[], Awaitable[None]], *, scope: str = ""
) -> None:
    with audited(operator, batch, action, scope):

        async def ask() -> None:
            await call()

        async_to_sync(ask)()
