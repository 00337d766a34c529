"""RetryRouting: finds the parent that can give a child another attempt, whether it runs or has closed.

An open partition is asked itself. Everything else goes to the root, started again by the same call if it is closed; and
where the root says that a partition is open meanwhile, the partition is asked once more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from temporalio.client import Client, WithStartWorkflowOperation, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from orchestration.connection import RPC_TIMEOUT, unavailable
from orchestration.contracts import CHILD_TASK_QUEUE, FanOutInput, FanOutResult, RetryAnswer, RetryRequest
from orchestration.partitions import PARTITION_OPEN
from orchestration.plan import Layout, partition_id, root_id
from orchestration.workflows.fan_out import PARENT_CLOSING, FanOutWorkflow

ROUNDS = 8
ROUND_PAUSE = 0.25
"""Seconds after the first round; as much more after each further one."""


class RetryRouting:
    """One retry of children of one batch. Raises TemporalUnavailable."""

    def __init__(self, client: Client, root: FanOutInput, update_id: str) -> None:
        self._client, self._root, self._update_id = client, root, update_id
        self._layout = Layout.of(root.plan, root.items)
        self._answer = RetryAnswer()

    async def route(self, children: Sequence[int], open_partitions: Collection[int]) -> RetryAnswer:
        """Ask until every child is taken on or refused, or its parent has been closing for too long."""
        left, ask = list(children), set(open_partitions)
        for turn in range(ROUNDS):
            await asyncio.sleep(ROUND_PAUSE * turn)
            left = await self._ask_partitions(left, ask, turn)
            if left:
                left = await self._ask_root(left, turn)
            if not left:
                break
            ask = {partition for child in left if (partition := self._layout.partition_of(child)) is not None}
        self._answer.refused.update(dict.fromkeys(left, "its parent is closing: try again"))
        return self._answer

    async def _ask_partitions(self, children: Sequence[int], ask: Collection[int], turn: int) -> list[int]:
        """Ask open partitions, and return the children that have to go through the root."""
        left, groups = list[int](), dict[int, list[int]]()
        for child in children:
            partition = self._layout.partition_of(child)
            if partition is None or partition not in ask:
                left.append(child)
            else:
                groups.setdefault(partition, []).append(child)
        for partition, group in groups.items():
            workflow_id = partition_id(self._root.batch_id, partition)
            handle = self._client.get_workflow_handle_for(FanOutWorkflow.run, workflow_id)
            taken = await self._update(handle, group, f"{self._update_id}-{turn}-p{partition}")
            if taken is None:
                left.extend(group)
            else:
                self._answer.accepted.extend(taken.accepted)
                self._answer.refused.update(taken.refused)
        return left

    async def _update(
        self, handle: WorkflowHandle[FanOutWorkflow, FanOutResult], children: list[int], update_id: str
    ) -> RetryAnswer | None:
        """Ask a parent, or return None when it is closed or about to."""
        with unavailable():
            try:
                return await handle.execute_update(
                    FanOutWorkflow.retry, RetryRequest(children), id=update_id, rpc_timeout=RPC_TIMEOUT
                )
            except WorkflowUpdateFailedError as error:
                _raise_unless_closing(error)
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
        return None

    async def _ask_root(self, children: list[int], turn: int) -> list[int]:
        """Ask the root, started again if it is closed, and return the children to be asked for once more."""
        with unavailable():
            try:
                taken = await self._client.execute_update_with_start_workflow(
                    FanOutWorkflow.retry,
                    RetryRequest(children),
                    start_workflow_operation=self._start(),
                    id=f"{self._update_id}-{turn}",
                    rpc_timeout=RPC_TIMEOUT,
                )
            except WorkflowUpdateFailedError as error:
                _raise_unless_closing(error)
                return children
            except RPCError as error:
                if error.status not in (RPCStatusCode.NOT_FOUND, RPCStatusCode.ABORTED):
                    raise
                return children
        self._answer.accepted.extend(taken.accepted)
        self._answer.refused.update({child: why for child, why in taken.refused.items() if why != PARTITION_OPEN})
        return [child for child, why in taken.refused.items() if why == PARTITION_OPEN]

    def _start(self) -> WithStartWorkflowOperation[FanOutWorkflow, FanOutResult]:
        root = self._root
        return WithStartWorkflowOperation(
            FanOutWorkflow.run,
            FanOutInput(root.batch_id, root.plan, root.items, 0, 0, children=[], window=root.window, label=root.label),
            id=root_id(root.batch_id),
            task_queue=CHILD_TASK_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            memo={"batch": root.label},
            static_summary=root.label or None,
        )


def _raise_unless_closing(error: WorkflowUpdateFailedError) -> None:
    cause = error.cause
    if not (isinstance(cause, ApplicationError) and cause.type == PARENT_CLOSING):
        raise error
