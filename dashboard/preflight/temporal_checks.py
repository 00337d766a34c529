"""Temporal: whether it answers, has the namespace, tells the same time, and whether workers poll its task queues."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from asgiref.sync import async_to_sync
from django.db import DatabaseError

from dashboard.database.threads import in_thread
from dashboard.models import OPEN_BATCH_STATUSES, Batch
from dashboard.preflight.clocks import clock_finding
from dashboard.preflight.findings import Finding, fail, ok, warn
from dashboard.temporal import connection
from orchestration.client.service_state import ServiceState, service_state
from orchestration.client.task_queues import QueueKind, QueueSnapshot
from orchestration.contracts.names import CHILD_TASK_QUEUE, DASHBOARD_TASK_QUEUE, SCHEDULE_TASK_QUEUE
from orchestration.gateway import Gateway
from orchestration.temporal.connection import TemporalRefused, TemporalUnavailable

SHORT_RETENTION_DAYS = 3
"""Days after which a closed batch's history is gone: a retry then begins anew."""

SERVED_BY: Mapping[str, str] = {
    CHILD_TASK_QUEUE: "canopy worker",
    SCHEDULE_TASK_QUEUE: "canopy worker",
    DASHBOARD_TASK_QUEUE: "canopy web",
}
"""Which process polls each of Canopy's own queues."""


@async_to_sync
async def temporal_findings(gateway: Gateway) -> list[Finding]:
    """Return what there is to say about Temporal; about its queues only where it answers."""
    return [each async for each in _findings(gateway)]


async def _findings(gateway: Gateway) -> AsyncIterator[Finding]:
    at = connection()
    where = f"{at.address}, namespace {at.namespace}"
    try:
        state = await service_state(await gateway.client())
        yield _service(where, state)
        if state.ahead is not None:
            yield clock_finding("Temporal", state.ahead, state.precision)
        for each in await _queues(gateway):
            yield each
    except TemporalRefused as error:
        yield fail("temporal", f"{where}: {error}", "Check TEMPORAL_NAMESPACE and the credentials.")
    except TemporalUnavailable as error:
        yield fail("temporal", f"{where}: {error}", "Check TEMPORAL_ADDRESS and TEMPORAL_TLS, and that it runs.")


def _service(where: str, state: ServiceState) -> Finding:
    days = state.retention.total_seconds() / 86_400
    if 0 < days < SHORT_RETENTION_DAYS:
        message = f"{where}: keeps the history of what has closed for {days * 24:g} hours only."
        return warn("temporal", message, "Raise the namespace's retention to be able to retry for longer.")
    return ok("temporal", f"{where} answers (version {state.version or 'unknown'}).")


async def _queues(gateway: Gateway) -> list[Finding]:
    """Return a finding for each of Canopy's own queues, and those of open batches."""
    try:
        open_queues = await in_thread(_queues_of_open_batches)()
    except DatabaseError:
        open_queues = set()
    found = await gateway.queues([*SERVED_BY, *sorted(open_queues - set(SERVED_BY))])
    return [_queue(name, found) for name in dict.fromkeys([*SERVED_BY, *sorted(open_queues)])]


def _queues_of_open_batches() -> set[str]:
    return set(Batch.objects.filter(status__in=OPEN_BATCH_STATUSES).values_list("plan_data__task_queue", flat=True)) - {
        None,
        "",
    }


def _queue(name: str, found: list[QueueSnapshot]) -> Finding:
    kinds = [each for each in found if each.name == name and (name in SERVED_BY or each.kind is QueueKind.ACTIVITY)]
    if alive := {identity for each in kinds for identity in each.pollers}:
        return ok("task queue", f"{name}: {len(alive)} polling.")
    waiting = sum(each.backlog for each in kinds)
    lost = {worker.identity for each in kinds for worker in each.lost_workers}
    parts = ["nobody polls it.", lost and f"{len(lost)} were lost.", waiting and f"{waiting:,} tasks wait."]
    start = f"Start `{SERVED_BY.get(name, f'canopy worker --queue {name}')}`."
    return fail("task queue", f"{name}: {' '.join(part for part in parts if part)}", start)
