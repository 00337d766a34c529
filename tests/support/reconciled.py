"""Batches that nobody has started, and what their rows and Temporal say of them while they are reconciled."""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth.models import User

from dashboard.models import Batch, Node
from dashboard.temporal import gateway
from orchestration.contracts.events import NodeKind
from orchestration.contracts.status import Status
from orchestration.plan.plan import Plan
from tests.support import builders
from tests.support.oracle import assert_consistent
from tests.support.waiting import until

FOR_LONG = {"seconds_from": 600, "seconds_to": 600}
AT_ONCE = {"seconds_from": 0, "seconds_to": 0}


async def written(person: User, items: int = 3, parameters: dict[str, Any] = FOR_LONG, **plan: Any) -> Batch:
    """Write a batch that nobody has started: the reconciler will."""
    request = {name: plan.pop(name) for name in ("processor", "definition") if name in plan}
    given = Plan(chunk_size=1, item_attempts=1, **plan)
    return await sync_to_async(builders.make_batch)(person, items, parameters=parameters, plan=given, **request)


async def statuses(batch: Batch) -> tuple[str, list[str]]:
    """Return the status of a batch and of its children."""
    await batch.arefresh_from_db()
    children = Node.objects.filter(batch=batch, kind=NodeKind.CHILD).order_by("position")
    return batch.status, [status async for status in children.values_list("status", flat=True)]


async def shows(batch: Batch, status: str, *children: str, deadline: float = 60) -> None:
    """Await that the rows say so."""
    seen: Any = None

    async def does() -> bool:
        nonlocal seen
        seen = await statuses(batch)
        return bool(seen == (status, list(children)))

    try:
        await until(does, f"{status} with {children}", deadline)
    except AssertionError as error:
        raise AssertionError(f"{error}; the rows say {seen}") from None
    await sync_to_async(assert_consistent)(batch.pk)


async def ended(*workflow_ids: str) -> None:
    """Await that Temporal has closed these: from then on the rows have their 10 s."""

    async def has() -> bool:
        runs = [await gateway().describe_run(workflow_id) for workflow_id in workflow_ids]
        return all(run is not None and run.closed_at is not None for run in runs)

    await until(has, f"{workflow_ids} have ended", 60)


async def temporal_says(batch: Batch, counts: dict[Status, int]) -> None:
    """Await that Temporal counts so many runs of each status."""

    async def does() -> bool:
        return await gateway().count_runs(batch.workflows) == counts

    await until(does, f"Temporal has {counts}")
