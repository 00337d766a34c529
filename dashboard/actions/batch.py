"""Actions on a batch as a whole: pause, resume, skip, finish, decide, cancel, terminate, roll back, set the window.

The pages and the API share them. Each requires the operator's role, calls Temporal through the gateway, and writes an
audit entry with its outcome. Actions on chosen children, which leave an Operation, are in `operations`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from dashboard.accounts.audit import audited, command_on, counted, record
from dashboard.accounts.permissions import Person, require_operator
from dashboard.actions.approval import may_approve
from dashboard.actions.rollback import may_roll_back, rollback_input
from dashboard.errors import OperationError
from dashboard.i18n.formatting import numeral
from dashboard.live.doorbell import announce_change_from_thread
from dashboard.models import Batch, Hold, Node
from dashboard.projection import settlement
from dashboard.projection.attempts import begun_again
from dashboard.projection.events import apply_events
from dashboard.temporal import gateway
from orchestration.contracts.events import NodeKind
from orchestration.contracts.messages import MOST_CHILDREN
from orchestration.contracts.status import Status
from orchestration.plan.plan import Plan
from orchestration.telemetry import tracing

FOUR_EYES = gettext_lazy("Four eyes: whoever launched this batch may not approve it. Another operator has to.")


def pause(person: Person, batch: Batch) -> None:
    """Start no more children; running ones continue. Raises PermissionDenied, OperationError."""
    _require_own_batch(batch)
    _request(require_operator(person), batch, "pause", lambda mark: gateway().pause(batch.pk, mark=mark))


def resume(person: Person, batch: Batch) -> None:
    """Start children again. Raises PermissionDenied, OperationError."""
    _require_own_batch(batch)
    _request(require_operator(person), batch, "resume", lambda mark: gateway().resume(batch.pk, mark=mark))


def set_worker_paused(person: Person, worker: Node, *, paused: bool) -> None:
    """Pause or resume one worker of a pool. Raises PermissionDenied, OperationError (409 when it is not running)."""
    operator = require_operator(person)
    if worker.kind != NodeKind.POOL_WORKER or worker.status != Status.RUNNING:
        raise OperationError(_("This is not a running pool worker."), 409)
    action, scope = "pause worker" if paused else "resume worker", f"worker {worker.label}"
    _request(
        operator,
        worker.batch,
        action,
        lambda mark: gateway().steer_worker(worker.workflow_id, paused=paused, mark=mark),
        scope=scope,
    )


def skip(person: Person, batch: Batch) -> None:
    """Continue a held batch without its failed children. Raises PermissionDenied, OperationError (409 if not held)."""
    _release(require_operator(person), batch, "skip", lambda mark: gateway().skip(batch.pk, mark=mark))


def finish(person: Person, batch: Batch) -> None:
    """End a held batch as it is. Raises PermissionDenied, OperationError (409 when it is not held)."""
    _release(require_operator(person), batch, "finish", lambda mark: gateway().finish(batch.pk, mark=mark))


def decide(person: Person, batch: Batch, *, approved: bool) -> None:
    """Approve or refuse the start of a batch. Raises PermissionDenied, OperationError (409 if none is pending).

    An approval that needs somebody else is refused with PermissionDenied, and audited.
    """
    operator = require_operator(person)
    if batch.held_kind != Hold.APPROVAL:
        raise OperationError(_("The batch is not waiting for approval."), 409)
    name = operator.get_username()
    action = "approve" if approved else "refuse"
    if approved and not may_approve(operator, batch):
        record(operator, batch, action, outcome="Refused: whoever launched the batch may not approve it (four eyes).")
        raise PermissionDenied(FOUR_EYES)
    _request(
        *(operator, batch, action),
        lambda mark: gateway().decide(batch.pk, approved=approved, person=name, mark=mark),
    )


def _release(operator: User, batch: Batch, action: str, call: Callable[[str], Awaitable[None]]) -> None:
    if batch.held_kind != Hold.FAILURES:
        raise OperationError(_("The batch is not held."), 409)
    _request(operator, batch, action, call, scope=batch.held_reason)


def cancel(person: Person, batch: Batch) -> None:
    """Request cancellation of running children, and skip pending ones. Raises PermissionDenied, OperationError."""
    _request(require_operator(person), batch, "cancel", lambda mark: gateway().cancel(batch.workflows.root, mark=mark))


def terminate(person: Person, batch: Batch, reason: str = "") -> None:
    """Terminate the batch at once, without cleanup. Raises PermissionDenied, OperationError."""
    operator = require_operator(person)
    why = f"{operator.get_username()}: {reason or 'no reason given'}"
    _request(
        operator,
        batch,
        "terminate",
        lambda mark: gateway().terminate(batch.workflows.root, why, mark=mark),
        scope=reason,
    )


def roll_back(person: Person, batch: Batch) -> str:
    """Undo everything that a closed batch has completed, and return a message that says so.

    Raises PermissionDenied, OperationError (409 while it runs, or when nothing is left to undo).
    """
    operator = require_operator(person)
    if not may_roll_back(batch):
        why = (
            _("The batch is still open.")
            if batch.is_open
            else _("This batch cannot be rolled back: its processor has no compensation.")
        )
        raise OperationError(why, 409)
    root, number = rollback_input(batch)
    if not number:
        raise OperationError(_("There is nothing left to undo."), 409)
    scope = counted(number, "child", "children")
    command = command_on(batch, "roll back", scope)
    continued = tracing.continued(batch.traceparent, "roll back")
    with audited(operator, batch, "roll back", scope, command=command), continued:
        run_id = async_to_sync(gateway().roll_back)(root, command.mark)
    apply_events(batch.pk, [begun_again(Node.objects.get(batch=batch, kind=NodeKind.ROOT), run_id)])
    announce_change_from_thread(batch.pk)
    begun = ngettext("Rolling back %(number)s completed child.", "Rolling back %(number)s completed children.", number)
    text = begun % {"number": numeral(number)}
    return text if number < MOST_CHILDREN else _("%(text)s Roll back again afterwards for the rest.") % {"text": text}


def set_window(person: Person, batch: Batch, window: int) -> None:
    """Change how many children may run at once. Raises PermissionDenied, OperationError (422 out of bounds)."""
    operator = require_operator(person)
    _require_own_batch(batch)
    check_window(window)
    scope = f"{batch.window} → {window}"
    _request(operator, batch, "window", lambda mark: gateway().set_window(batch.pk, window, mark=mark), scope=scope)


def check_window(window: int) -> None:
    """Raise OperationError (422) for a window that is out of bounds."""
    least, most = window_bounds()
    if not least <= window <= most:
        raise OperationError(
            _("Max concurrency must be between %(least)s and %(most)s.") % {"least": least, "most": numeral(most)}, 422
        )


def window_bounds() -> tuple[int, int]:
    """Return the smallest window that a plan may have, and the largest."""
    bounds = Plan.model_json_schema()["properties"]["window"]
    return bounds["minimum"], bounds["maximum"]


def discard(person: Person, batch: Batch) -> None:
    """Discard a batch that has not started. Raises PermissionDenied, OperationError (409 once it has)."""
    operator = require_operator(person)
    with audited(operator, batch, "discard", ""):
        if not settlement.discard(batch.pk):
            raise OperationError(_("The batch has already started: cancel it instead."), 409)
    announce_change_from_thread(batch.pk)


def _require_own_batch(batch: Batch) -> None:
    if batch.watched_id:
        raise OperationError(_("Canopy only watches this tree; its own parents control it."), 409)


def _request(
    operator: User, batch: Batch, action: str, call: Callable[[str], Awaitable[None]], *, scope: str = ""
) -> None:
    command = command_on(batch, action, scope)
    with audited(operator, batch, action, scope, command=command):

        async def call_gateway() -> None:
            await call(command.mark)

        async_to_sync(call_gateway)()
