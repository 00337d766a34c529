"""Whatever is done to a batch of whatever kind in whatever state: in the end the rows say what Temporal says.

The batches of a state go through everything together, on one server: they come into the state, are acted on, by Canopy
and by Temporal's command line in turn, and are let go, or have to end by themselves. Each kind meets each state and
each action. With CANOPY_TEST_EVERY_CELL=1 it meets each action in each state by some way; that takes minutes.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from temporalio.client import Client, WorkflowExecutionStatus

from dashboard.actions import batch as batch_actions
from dashboard.actions import operations
from dashboard.actions.targets import Targets
from dashboard.activities.worker import run_notify_worker
from dashboard.database.threads import in_thread
from dashboard.errors import OperationError
from dashboard.models import Action, Batch, Node
from dashboard.temporal import gateway
from orchestration.contracts.events import NodeKind
from orchestration.contracts.status import Status
from tests.support import stack
from tests.support.oracle import differences
from tests.support.stack import TemporalServer
from tests.support.steering import CONTINUED, KINDS, Cell
from tests.support.waiting import until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

STATES = ("starting", "running", "paused", "held", "retrying", CONTINUED)
ACTIONS = ("cancel", "terminate", "pause", "retry", "skip")
IN_TURN = ("cancel", "terminate", "cancel", "pause", "retry", "skip")
WAYS = ("canopy", "cli")

FLOWS = ("steps", "saga", "services")
"""Flows without children."""

IMPOSSIBLE = {
    **{(kind, "held"): "Nothing holds it." for kind in ("saga", "services")},
    ("saga", "retrying"): "One that failed has been undone, and is launched again.",
    **{(kind, CONTINUED): "It never continues as new." for kind in KINDS if kind not in ("pool", "entities", "pages")},
}
"""States that a kind does not have, and why."""

STATUSES = {"cancel": "canceled", "terminate": "terminated"}
"""How the root ends, by what was done."""


@pytest.fixture(scope="module")
def own_temporal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TemporalServer]:
    """A server that suggests to continue as new after few events."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stack, "EVENTS_OF_A_RUN", 40)
        server = TemporalServer(Path(tmp_path_factory.mktemp("steering")))
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def notified(running_reconciler: None) -> AsyncIterator[None]:
    """Run what notifies, beside worker and reconciler."""
    task = asyncio.create_task(run_notify_worker())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def cells_of(state: str) -> list[Cell]:
    """Return the cells of a state: of each kind one, with another action than in the state before; or all."""
    turn, every = STATES.index(state), "CANOPY_TEST_EVERY_CELL" in os.environ
    kinds = [kind for kind in KINDS if (kind, state) not in IMPOSSIBLE]
    return [
        Cell(kind, state, action, WAYS[(turn + column) % 2])
        for row, kind in enumerate(kinds)
        for column, action in enumerate(ACTIONS)
        if every or action == IN_TURN[(turn + row) % len(IN_TURN)]
    ]


class Wave:
    """The cells of one state, which go through everything together."""

    def __init__(self, state: str, person: User, server: TemporalServer, client: Client) -> None:
        self.state, self.cells = state, cells_of(state)
        self._person, self._server, self._client = person, server, client
        self._began = datetime.now(UTC)

    async def reach(self) -> None:
        """Bring all into the state."""
        for cell in self.cells:
            first, at_work, _ = KINDS[cell.kind].units
            cell.probe.hold_once = {at_work}
            cell.probe.fail = set() if cell.kind in FLOWS else {first}
            if self.state == "retrying":
                cell.probe.released.set()
                cell.probe.fail = {at_work if cell.kind in FLOWS else first}
        await self._each(lambda cell: cell.launch(self._person), self.cells)
        if self.state == "held":
            await self.are("held", lambda cell, batch: batch.status == "held", self.cells)
        elif self.state == "retrying":
            await self._retry()
        elif self.state != "starting":
            await self.are("at work", _is_at_work, self.cells)
        if self.state == "paused":
            await self._each(lambda cell: batch_actions.pause(self._person, cell.batch), self.cells)
            await self.are("paused", lambda cell, batch: batch.status == "paused", self.cells)

    async def _retry(self) -> None:
        await self.are("over", lambda cell, batch: not batch.is_open, self.cells)
        for cell in self.cells:
            cell.probe.released.clear()
            cell.probe.hold_once, cell.probe.fail = cell.probe.fail, set()
        unfinished = Targets(status="unfinished")
        await self._each(lambda cell: operations.retry(self._person, cell.fresh(), unfinished), self.cells)
        await self.are("at work again", lambda cell, batch: batch.is_open and cell.probe.running > 0, self.cells)

    async def act(self) -> None:
        """Do to each what its cell says."""
        await self._each(self._act, self.cells)

    def _act(self, cell: Cell) -> None:
        try:
            if cell.way == "canopy":
                by_canopy(cell, self._person)
            else:
                by_command_line(cell, self._server)
        except (OperationError, subprocess.CalledProcessError) as error:
            cell.refusal = str(error)

    async def let_go(self) -> None:
        """Have those that are neither canceled nor terminated go on to their end, whatever keeps them."""
        paused = [cell for cell in self.cells if cell.action == "pause" and not cell.refusal]
        if self.state not in ("starting", "held"):
            await self.are("paused", lambda cell, batch: batch.status == "paused", paused)
        for cell in self.cells:
            if cell.action not in STATUSES:
                cell.probe.fail.clear()
                if self.state == "held" and cell.kind == "steps":
                    await gateway().decide(cell.batch.pk, approved=True, person="olga")
                elif self.state == "held":
                    await gateway().finish(cell.batch.pk)
                if self.state == "paused" or cell.action == "pause":
                    await gateway().resume(cell.batch.pk)
                cell.probe.released.set()

    async def are(self, what: str, condition: Callable[[Cell, Batch], bool], cells: Sequence[Cell]) -> None:
        """Wait until a condition holds for cells and their batches as the rows show them."""
        left = list[str]()

        async def all_are() -> bool:
            rows = await in_thread(Batch.objects.in_bulk)([cell.batch.pk for cell in cells])
            left[:] = [
                f"{cell}: {rows[cell.batch.pk].status}" for cell in cells if not condition(cell, rows[cell.batch.pk])
            ]
            return not left

        await until(all_are, lambda: f"all are {what}, but for {left}", 240)

    async def agree(self) -> None:
        """Wait until the rows of all say what Temporal says."""
        wrong = dict[str, list[str]]()

        async def do() -> bool:
            listed = await self._listed()
            wrong.clear()
            for cell in self.cells:
                if found := await in_thread(differences)(cell.batch.pk, listed[cell.root]):
                    wrong[str(cell)] = found
            return not wrong

        await until(do, lambda: "\n".join(f"{cell}: {found}" for cell, found in wrong.items()), 180)
        listed = await self._listed()
        for cell in self.cells:
            status = listed[cell.root][cell.root]
            assert status == STATUSES.get(cell.action, status), cell
            assert (status in STATUSES.values()) is (cell.action in STATUSES), cell

    async def _listed(self) -> dict[str, dict[str, str]]:
        """Return what Temporal lists: {root: {workflow id: status of its newest run}}."""
        listed = defaultdict[str, dict[str, str]](dict)
        runs = [run async for run in self._client.list_workflows(f'StartTime >= "{self._began.isoformat()}"')]
        for run in sorted(runs, key=lambda each: each.start_time):
            if run.status is not None and run.status is not WorkflowExecutionStatus.CONTINUED_AS_NEW:
                listed[run.root_id or run.id][run.id] = run.status.name.lower()
        return listed

    async def _each(self, do: Callable[[Cell], object], cells: Sequence[Cell]) -> None:
        await asyncio.gather(*(in_thread(do)(cell) for cell in cells))


def _is_at_work(cell: Cell, batch: Batch) -> bool:
    return batch.status == "running" and cell.probe.running > 0 and KINDS[cell.kind].units[1] in cell.probe.calls


def by_canopy(cell: Cell, person: User) -> None:
    """Do what a button of Canopy does."""
    batch = cell.fresh()
    if cell.action == "cancel":
        batch_actions.cancel(person, batch)
    elif cell.action == "terminate":
        batch_actions.terminate(person, batch)
    elif cell.action == "pause":
        batch_actions.pause(person, batch)
    elif cell.action == "retry":
        operations.retry(person, batch, Targets(status="failed"))
    elif cell.state == "held" and cell.kind not in FLOWS:
        batch_actions.skip(person, batch)
    else:
        operations.confirm(person, operations.freeze(person, batch, Action.SKIP, Targets(status="pending")))


def by_command_line(cell: Cell, server: TemporalServer) -> None:
    """Do the same with Temporal's command line: a failed child that is a workflow is reset."""
    named = ("--workflow-id", cell.root)
    if cell.action in STATUSES:
        server.cli("workflow", cell.action, *named)
    elif cell.action == "pause":
        server.cli("workflow", "signal", *named, "--name", "pause")
    else:
        wanted = Status.FAILED if cell.action == "retry" else Status.PENDING
        children = Node.objects.select_related("parent").filter(batch=cell.batch, kind=NodeKind.CHILD, status=wanted)
        for child in children.order_by("position")[:1]:
            if cell.action == "retry" and child.is_workflow:
                again = ("--type", "FirstWorkflowTask", "--reason", "again")
                server.cli("workflow", "reset", "--workflow-id", child.workflow_id, *again)
            else:
                assert child.parent is not None
                update = "retry" if cell.action == "retry" else "skip_children"
                asked = ("--name", update, "--input", f'{{"children": [{child.position}]}}')
                server.cli("workflow", "update", "execute", "--workflow-id", child.parent.workflow_id, *asked)


@pytest.mark.parametrize("state", STATES)
async def test_in_the_end_the_rows_say_what_temporal_says(
    notified: None, operator: User, own_temporal: TemporalServer, client: Client, state: str
) -> None:
    wave = Wave(state, operator, own_temporal, client)
    canceled = [cell for cell in wave.cells if cell.action == "cancel"]
    try:
        await wave.reach()
        await wave.act()
        await wave.let_go()
        await wave.are("over", lambda cell, batch: not batch.is_open, wave.cells)
        await wave.are("at rest", lambda cell, batch: cell.probe.running == 0, canceled)
        await wave.agree()
        for cell in canceled:
            waiting = KINDS[cell.kind].units[2]
            is_new = state in ("running", "paused", "held", CONTINUED) and cell.kind != "services"
            assert not (is_new and waiting in cell.probe.calls), f"{cell}: {dict(cell.probe.calls)}"
    finally:
        for cell in wave.cells:
            cell.probe.released.set()
