"""RetryRouting: finds the parent that can give a child another attempt, whether it runs or has closed.

The innermost parent that is open is asked itself. Everything else goes to the root, started again by the same call if
it is closed; and where a parent says that one below it is open meanwhile, that one is asked next.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from temporalio.client import Client, WithStartWorkflowOperation, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from orchestration.connection import RPC_TIMEOUT, TemporalUnavailable, unavailable
from orchestration.contracts import CHILD_TASK_QUEUE, FanOutInput, FlowInput, RetryAnswer, RetryRequest
from orchestration.partitions import PARTITION_OPEN
from orchestration.plan import root_id
from orchestration.workflows.fan_out import PARENT_CLOSING

ROUNDS = 8
ROUND_PAUSE = 0.25
"""Seconds after the first round; as much more after each further one."""

RETRY_UPDATE = "retry"


class RetryRouting:
    """One retry of children of one batch. Raises TemporalUnavailable."""

    def __init__(self, client: Client, root_type: str, root: FanOutInput | FlowInput, update_id: str) -> None:
        """Take the root's workflow type, and the input that starts it to retry."""
        self._client, self._root_type, self._root, self._update_id = client, root_type, root, update_id
        self._root_id = root_id(root.batch_id)
        self._answer = RetryAnswer()

    async def route(self, parents: Mapping[int, Sequence[str]], believed_open: Collection[str]) -> RetryAnswer:
        """Ask until every child is taken on or refused, or its parent has been closing for too long."""
        ways = {child: (self._root_id, *above) for child, above in parents.items()}
        ask = {
            child: max(at for at, each in enumerate(way) if not at or each in believed_open)
            for child, way in ways.items()
        }
        for turn in range(ROUNDS):
            await asyncio.sleep(ROUND_PAUSE * turn)
            for level in sorted({*ask.values()}, reverse=True):
                await self._ask_level(level, turn, ways, ask)
            if not ask:
                break
        self._answer.refused.update(dict.fromkeys(ask, "its parent is closing: try again"))
        return self._answer

    async def go_on(self) -> RetryAnswer:
        """Have a root that has closed go on with what it had not done."""
        for turn in range(ROUNDS):
            await asyncio.sleep(ROUND_PAUSE * turn)
            if (taken := await self._ask_root(self._root_id, [], f"{self._update_id}-{turn}")) is not None:
                return taken
        raise TemporalUnavailable("The batch is still closing.")

    async def _ask_level(self, level: int, turn: int, ways: Mapping[int, Sequence[str]], ask: dict[int, int]) -> None:
        """Ask all parents at one level, and leave in `ask` the children to be asked for elsewhere, and where."""
        groups = defaultdict[str, list[int]](list)
        for child, at in ask.items():
            if at == level:
                groups[ways[child][level]].append(child)
        for workflow_id, children in groups.items():
            update_id = f"{self._update_id}-{turn}-{workflow_id}"
            taken = await (self._ask_root if level == 0 else self._ask)(workflow_id, children, update_id)
            if taken is None:
                ask.update(dict.fromkeys(children, 0))
                continue
            for child in children:
                if taken.refused.get(child) == PARTITION_OPEN and level + 1 < len(ways[child]):
                    ask[child] = level + 1
                else:
                    del ask[child]
            self._answer.accepted.extend(taken.accepted)
            self._answer.refused.update({child: why for child, why in taken.refused.items() if child not in ask})

    async def _ask(self, workflow_id: str, children: list[int], update_id: str) -> RetryAnswer | None:
        """Ask a parent below the root, or return None when it is closed or about to."""
        handle = self._client.get_workflow_handle(workflow_id)
        with unavailable():
            try:
                answer: RetryAnswer = await handle.execute_update(
                    RETRY_UPDATE,
                    RetryRequest(children),
                    id=update_id,
                    result_type=RetryAnswer,
                    rpc_timeout=RPC_TIMEOUT,
                )
            except WorkflowUpdateFailedError as error:
                _raise_unless_closing(error)
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
            else:
                return answer
        return None

    async def _ask_root(self, workflow_id: str, children: list[int], update_id: str) -> RetryAnswer | None:
        """Ask the root, started again if it is closed, or return None when it is about to close."""
        with unavailable():
            try:
                answer: RetryAnswer = await self._client.execute_update_with_start_workflow(
                    RETRY_UPDATE,
                    RetryRequest(children),
                    start_workflow_operation=self._start(),
                    id=update_id,
                    result_type=RetryAnswer,
                    rpc_timeout=RPC_TIMEOUT,
                )
            except WorkflowUpdateFailedError as error:
                _raise_unless_closing(error)
            except RPCError as error:
                if error.status not in (RPCStatusCode.NOT_FOUND, RPCStatusCode.ABORTED):
                    raise
            else:
                return answer
        return None

    def _start(self) -> WithStartWorkflowOperation[Any, Any]:
        return WithStartWorkflowOperation(
            self._root_type,
            self._root,
            id=self._root_id,
            task_queue=CHILD_TASK_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            memo={"batch": self._root.label},
            static_summary=self._root.label or None,
        )


def _raise_unless_closing(error: WorkflowUpdateFailedError) -> None:
    cause = error.cause
    if not (isinstance(cause, ApplicationError) and cause.type == PARENT_CLOSING):
        raise error
