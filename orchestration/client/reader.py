"""What the dashboard reads of Temporal. A call ends within RPC_TIMEOUT, or raises TemporalUnavailable.

Listing and describing use the raw RPCs: SDK 1.35 raises ValueError on a workflow that the server has paused.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum

from temporalio.api.workflowservice.v1 import (
    CountWorkflowExecutionsRequest,
    ListWorkflowExecutionsRequest,
)
from temporalio.client import WorkflowFailureError, WorkflowQueryFailedError, WorkflowQueryRejectedError
from temporalio.service import RPCError

from orchestration.client.executions import ExecutionReader
from orchestration.client.root_workflows import FLOW_WORKFLOWS
from orchestration.client.task_queues import (
    WORKER_LOST_AFTER,
    QueueSnapshot,
    WorkerSnapshot,
    describe_queues,
    list_workers,
    without_workers,
)
from orchestration.client.visibility import IS_OPEN, NOT_CONTINUED, STATUSES, is_exact, is_of, run_of, tree_query
from orchestration.client.workflow_run import WorkflowRun
from orchestration.contracts import events
from orchestration.contracts.events import TreeEvent
from orchestration.contracts.messages import Progress
from orchestration.contracts.names import (
    CHILD_TASK_QUEUE,
    DELEGATE_WORKFLOW,
    FAN_OUT_WORKFLOW,
    ITEM_SAGA_WORKFLOW,
    PROGRESS_QUERY,
    UNDELIVERED_EVENTS_QUERY,
)
from orchestration.contracts.status import Status
from orchestration.contracts.workflow_ids import WorkflowTree, is_canopy_id, may_continue_as_new, root_id
from orchestration.temporal.connection import (
    RPC_TIMEOUT,
    BatchNotRunning,
    TemporalUnavailable,
    not_running,
    unavailable,
)

log = logging.getLogger(__name__)

PAGE_SIZE = 1_000

VISIBILITY_LAG = timedelta(minutes=1)
"""After this long a listing has what has happened, whatever the clocks of hosts say."""

NEW_RUNS = 5_000
"""Of one look for runs that nobody expects: five pages."""

LOOKUPS = 200
"""Runs of a listing that are looked up together."""

REPORTING_WORKFLOWS = {FAN_OUT_WORKFLOW, ITEM_SAGA_WORKFLOW, DELEGATE_WORKFLOW, *FLOW_WORKFLOWS.values()}
"""Types of the workflows that answer UNDELIVERED_EVENTS_QUERY."""

CLOSED_BY_WORKFLOW = (Status.COMPLETED, Status.FAILED, Status.CANCELED)
"""Outcomes that a workflow reaches by its own code; the others leave nothing to query."""


class WorkerState(IntEnum):
    """How the workers of the child queue are: one works, or else what is known of the one that is best off."""

    WORKS = 0
    FROZEN = 1
    LOST = 2
    NONE = 3


@dataclass(frozen=True)
class TemporalHealth:
    """Whether Temporal answers, and the age in seconds of the newest heartbeat of a worker of the child queue."""

    reachable: bool
    error: str = ""
    worker_heartbeat_age: float | None = None
    worker: WorkerState = WorkerState.NONE

    @property
    def has_worker(self) -> bool:
        """Whether a worker works."""
        return self.worker is WorkerState.WORKS


class TemporalReader(ExecutionReader):
    """Reads from Temporal what concerns trees, task queues and workers, beside what ExecutionReader does."""

    async def progress(self, batch_id: str) -> Progress:
        """Return the progress of the root's newest run over its direct children. Raises BatchNotRunning."""
        handle = (await self.client()).get_workflow_handle(root_id(batch_id))
        with unavailable(), not_running():
            progress: Progress = await handle.query(PROGRESS_QUERY, result_type=Progress, rpc_timeout=RPC_TIMEOUT)
        return progress

    async def queues(self, names: Iterable[str]) -> list[QueueSnapshot]:
        """Return the named task queues and those that a live worker serves, both kinds of each.

        Raises TemporalUnavailable.
        """
        return await describe_queues(await self.client(), names)

    async def wait_closed(self, batch_id: str, run_id: str = "") -> WorkflowRun:
        """Wait until a run of the root (the newest, when none is named) has closed. Raises BatchNotRunning."""
        client = await self.client()
        handle = client.get_workflow_handle(root_id(batch_id), run_id=run_id or None)
        with unavailable(), not_running(), suppress(WorkflowFailureError):
            await handle.result()
        run = await self.describe_run(root_id(batch_id), run_id)
        if run is None:
            raise BatchNotRunning(batch_id)
        return run

    async def undelivered_events(self, run: WorkflowRun) -> list[TreeEvent]:
        """Return the events that a closed parent could not deliver; none where no worker answers the query."""
        if run.workflow_type not in REPORTING_WORKFLOWS or run.status not in CLOSED_BY_WORKFLOW:
            return []
        handle = (await self.client()).get_workflow_handle(run.workflow_id)
        found = list[TreeEvent]()
        try:
            while True:
                with unavailable():
                    page: list[TreeEvent] = await handle.query(
                        UNDELIVERED_EVENTS_QUERY,
                        args=[len(found)] if found else [],
                        result_type=list[TreeEvent],
                        rpc_timeout=RPC_TIMEOUT,
                    )
                found += page
                if len(page) != events.UNDELIVERED_PER_QUERY:
                    return found
        except (TemporalUnavailable, RPCError, WorkflowQueryFailedError, WorkflowQueryRejectedError) as error:
            log.warning("%s cannot be queried for its undelivered events: %s", run.workflow_id, error)
            return found

    async def count_runs(self, tree: WorkflowTree) -> dict[Status, int]:
        """Count the runs of a tree in visibility by status; a chain of runs counts once."""
        if not is_exact(tree.root):
            return Counter([run.status async for run in self._listed(tree, f"{tree_query(tree)} AND {NOT_CONTINUED}")])
        client = await self.client()
        with unavailable():
            answer = await client.workflow_service.count_workflow_executions(
                CountWorkflowExecutionsRequest(
                    namespace=client.namespace,
                    query=f"{tree_query(tree)} AND {NOT_CONTINUED} GROUP BY ExecutionStatus",
                ),
                timeout=RPC_TIMEOUT,
            )
        counts = dict[Status, int]()
        for group in answer.groups:
            status = STATUSES[json.loads(group.group_values[0].data)]
            counts[status] = counts.get(status, 0) + group.count
        return counts

    async def runs(
        self, tree: WorkflowTree, *, started_since: datetime | None = None, closed_since: datetime | None = None
    ) -> AsyncIterator[WorkflowRun]:
        """Yield the runs of a tree that started or closed since a time; what continued counts as one run.

        Which workflows have continued is listed first; of runs that started about then or since, it is looked up.
        """
        lookup_since = datetime.now(UTC) - VISIBILITY_LAG
        continued = f"{tree_query(tree)} AND NOT {NOT_CONTINUED}"
        chains = {run.workflow_id async for run in self._listed(tree, continued)}
        query = f"{tree_query(tree)} AND {NOT_CONTINUED}"
        if started_since is not None:
            query += f' AND StartTime >= "{started_since.isoformat()}"'
        if closed_since is not None:
            query += f' AND CloseTime >= "{closed_since.isoformat()}"'
        doubtful = list[WorkflowRun]()
        async for run in self._listed(tree, query):
            may_continue = not is_canopy_id(run.workflow_id) or may_continue_as_new(run.workflow_id)
            if may_continue and (run.workflow_id in chains or run.started_at > lookup_since):
                doubtful.append(run)
            else:
                yield run
            if len(doubtful) == LOOKUPS:
                async for found in self.as_attempts(doubtful):
                    yield found
                doubtful = []
        async for found in self.as_attempts(doubtful):
            yield found

    async def new_runs(self, since: datetime) -> dict[str, str]:
        """Return the newest NEW_RUNS runs that started since a time, of all trees: {run id: root's workflow id}."""
        found = dict[str, str]()
        query = f'StartTime >= "{since.isoformat()}" AND {NOT_CONTINUED}'
        async for run in self.list_runs(query):
            found[run.run_id] = run.root or run.workflow_id
            if len(found) >= NEW_RUNS:
                break
        return found

    async def open_roots(self, *, ours: bool) -> set[str]:
        """Return the workflow ids of the newest NEW_RUNS roots that are open: of batches, or else of others' trees."""
        found = set[str]()
        batches = "STARTS_WITH" if ours else "NOT STARTS_WITH"
        async for run in self.list_runs(f"{IS_OPEN} AND ParentWorkflowId IS NULL AND WorkflowId {batches} 'batch-'"):
            found.add(run.workflow_id)
            if len(found) >= NEW_RUNS:
                break
        return found

    async def _listed(self, tree: WorkflowTree, query: str) -> AsyncIterator[WorkflowRun]:
        async for run in self.list_runs(query):
            if is_of(run, tree):
                yield run

    async def list_runs(self, query: str) -> AsyncIterator[WorkflowRun]:
        """Yield the runs that a visibility query finds, newest start first."""
        client, token = await self.client(), b""
        while True:
            with unavailable():
                page = await client.workflow_service.list_workflow_executions(
                    ListWorkflowExecutionsRequest(
                        namespace=client.namespace, page_size=PAGE_SIZE, next_page_token=token, query=query
                    ),
                    timeout=RPC_TIMEOUT,
                )
            for info in page.executions:
                yield run_of(info)
            token = page.next_page_token
            if not token:
                return

    async def queues_without_workers(self, names: Iterable[str]) -> set[str]:
        """Return the named queues in which tasks wait and that no worker serves. Raises TemporalUnavailable."""
        return await without_workers(await self.client(), names)

    async def see_workers(self) -> None:
        """Look at the heartbeats of all workers, to know their clocks at the next. Raises TemporalUnavailable."""
        with unavailable():
            await list_workers(await self.client())

    async def health(self) -> TemporalHealth:
        """Return whether Temporal answers, and how old the workers' newest heartbeat is. Raises nothing."""
        try:
            with unavailable():
                workers = await list_workers(await self.client(), CHILD_TASK_QUEUE)
        except TemporalUnavailable as error:
            return TemporalHealth(reachable=False, error=str(error))
        if not workers:
            return TemporalHealth(reachable=True)
        now = datetime.now(UTC)
        best = min(workers, key=lambda worker: (_state_of(worker, now), now - worker.last_sign))
        age = max(0.0, (now - best.last_sign).total_seconds())
        return TemporalHealth(reachable=True, worker_heartbeat_age=age, worker=_state_of(best, now))


def _state_of(worker: WorkerSnapshot, now: datetime) -> WorkerState:
    if worker.is_lost(now) and worker.is_frozen:
        return WorkerState.FROZEN
    is_silent = now - worker.heartbeat_at >= timedelta(seconds=WORKER_LOST_AFTER)
    return WorkerState.LOST if is_silent or worker.is_lost(now) else WorkerState.WORKS
