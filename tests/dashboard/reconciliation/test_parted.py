"""Database and Temporal have parted: one of them is restored from an earlier state, or is lost.

What is missing is said, nothing stays running for ever, and one retry has it done again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection, models, transaction

from dashboard.actions import operations
from dashboard.actions.targets import UNFINISHED, Targets
from dashboard.activities.worker import run_notify_worker
from dashboard.database.threads import in_thread
from dashboard.live.state import lost_state
from dashboard.models import GENERATION, Attempt, Batch, Item, Moment, Node
from dashboard.reconciliation import reconciler, reopened
from dashboard.reconciliation.reconciler import run_reconciler
from dashboard.temporal import gateway
from orchestration.contracts.workflow_ids import root_id
from orchestration.temporal.connection import BatchNotRunning, TemporalUnavailable
from tests.support.oracle import assert_consistent
from tests.support.stack import TemporalServer
from tests.support.steering import KINDS, Cell
from tests.support.waiting import until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

FAN_OUTS = (
    "chunks",
    "activities",
    "no children",
    "pool",
    "entities",
    "resources",
    "pages",
    "sagas of items",
    "pipeline",
)
"""Kinds of which all that is done is items."""


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciler, "LAUNCH_HEAD_START", timedelta(0))
    monkeypatch.setattr(reconciler, "LASTING_DIFFERENCE", timedelta(seconds=3))
    monkeypatch.setattr(reopened, "LOOK_EVERY", timedelta(seconds=2))


@contextlib.asynccontextmanager
async def web_process() -> AsyncIterator[None]:
    """Run what a web process runs: what notifies, and the reconciler."""
    tasks = [asyncio.create_task(run_notify_worker()), asyncio.create_task(run_reconciler())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass
class Rows:
    """The rows of batches as they were."""

    kept: Sequence[models.Model]

    @classmethod
    def of(cls, batches: Sequence[str]) -> Rows:
        found: list[models.Model] = list(Batch.objects.filter(pk__in=batches))
        for model in (Node, Item, Attempt, Moment):
            found += model._base_manager.filter(batch__in=batches).order_by("pk")
        return cls(found)

    def bring_back(self) -> None:
        """Replace the rows as they are now, as a restore of the database does."""
        batches = [each for each in self.kept if isinstance(each, Batch)]
        with transaction.atomic():
            Batch.objects.filter(pk__in=[each.pk for each in batches]).delete()
            for each in self.kept:
                if isinstance(each, Batch):
                    each.revision += GENERATION
                each.save(force_insert=True)
        for model in (Node, Item, Attempt, Moment):
            _continue_ids(model)


def _continue_ids(model: type[models.Model]) -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            table = model._meta.db_table
            cursor.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}")


class Parted:
    """Batches of several kinds at work, of which their rows know the beginning."""

    def __init__(self, kinds: Sequence[str]) -> None:
        self.cells = [Cell(kind, "running", "", "") for kind in kinds]

    async def begin(self, person: User) -> None:
        """Launch all, and wait until each has a result and is held at its second unit."""
        for cell in self.cells:
            _first, at_work, _last = KINDS[cell.kind].units
            cell.probe.hold_once, cell.probe.fail = {at_work}, set()
            await in_thread(cell.launch)(person)

        def is_at_work(cell: Cell, batch: Batch) -> bool:
            return batch.items_completed >= 1 and KINDS[cell.kind].units[1] in cell.probe.calls

        await self.are("at work", is_at_work)

    async def are(self, what: str, condition: object) -> None:
        """Wait until a condition holds for each batch as its rows show it."""
        assert callable(condition)
        left = list[str]()

        async def all_are() -> bool:
            rows = await in_thread(Batch.objects.in_bulk)([cell.batch.pk for cell in self.cells])
            left[:] = [
                f"{cell.kind}: {(batch := rows[cell.batch.pk]).status} {batch.shown_items}"
                for cell in self.cells
                if not condition(cell, rows[cell.batch.pk])
            ]
            return not left

        await until(all_are, lambda: f"all are {what}, but for {left}", 240)

    async def rows(self) -> Rows:
        """Return their rows as they are."""
        return await in_thread(Rows.of)([cell.batch.pk for cell in self.cells])

    async def are_over(self) -> None:
        """Wait until none is open, and check that each says what it has lost."""
        await self.are("over", lambda cell, batch: not batch.is_open)
        for cell in self.cells:
            batch = await in_thread(cell.fresh)()
            said = await in_thread(lost_state)(batch)
            assert said is not None, cell.kind
            assert batch.status != "completed", cell.kind

    async def retried(self, person: User) -> None:
        """Retry what is missing in all, and wait until every item has its result."""
        unfinished = Targets(status=UNFINISHED)
        for cell in self.cells:
            outcome = await in_thread(operations.retry)(person, await in_thread(cell.fresh)(), unfinished)
            assert outcome.accepted or outcome.resumes_flow, cell.kind
        await self.are("completed", lambda cell, batch: batch.status == "completed")
        for cell in self.cells:
            batch = await in_thread(cell.fresh)()
            assert batch.items_completed == batch.item_count == 3 * (1 + (cell.kind == "pipeline")), cell.kind
            assert await in_thread(lost_state)(batch) is None, cell.kind
            await in_thread(assert_consistent)(batch.pk)


async def test_a_database_that_is_older_than_temporal_says_what_it_lacks_and_has_it_done_again(
    worker: None, operator: User
) -> None:
    parted = Parted(FAN_OUTS)
    async with web_process():
        await parted.begin(operator)
        earlier = await parted.rows()
        for cell in parted.cells:
            cell.probe.released.set()
        await parted.are("completed", lambda cell, batch: batch.status == "completed")
    await in_thread(earlier.bring_back)()
    async with web_process():
        await parted.are_over()
        await parted.retried(operator)
    for cell in parted.cells:
        if cell.kind != "sagas of items":
            calls = tuple(cell.probe.calls[name] for name in ("a", "b", "c"))
            in_lost_stage = 2 * (cell.kind == "pipeline")
            assert calls == tuple(in_lost_stage + number for number in (1, 2, 2)), f"{cell.kind}: done again in vain"


async def test_a_flow_whose_fan_out_is_younger_than_the_database_runs_it_again(worker: None, operator: User) -> None:
    parted = Parted(["steps with a fan-out"])
    (cell,) = parted.cells
    cell.probe.fail = set()
    await in_thread(cell.launch)(operator)
    earlier = await parted.rows()
    async with web_process():
        await parted.are("completed", lambda cell, batch: batch.status == "completed")
    await in_thread(earlier.bring_back)()
    async with web_process():
        await parted.are("known to lack it", lambda cell, batch: batch.unrecorded > 0)
        await parted.are_over()
        await parted.retried(operator)
    assert cell.probe.calls == {"a": 2, "b": 2, "c": 2}


async def test_a_temporal_that_is_lost_ends_what_ran_and_a_retry_has_it_done_again(
    worker: None, operator: User, own_temporal: TemporalServer
) -> None:
    parted = Parted(FAN_OUTS)
    async with web_process():
        await parted.begin(operator)
        own_temporal.process.kill()
        for path in own_temporal.home.glob("temporal.sqlite3*"):
            path.unlink()
        own_temporal.start()
        for cell in parted.cells:
            cell.probe.released.set()
        await parted.are_over()
        await parted.retried(operator)


@pytest.fixture(autouse=True)
async def nothing_left(address: str) -> AsyncIterator[None]:
    """End what is left of the batches afterwards."""
    yield
    async for batch in Batch.objects.all():
        with contextlib.suppress(BatchNotRunning, TemporalUnavailable):
            await gateway().terminate(root_id(batch.pk), "The test is over.")
