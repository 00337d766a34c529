"""Routing: finds the parents that can give children another attempt, or go on without them, running or closed.

The innermost parent that is open is asked itself. What that one cannot do goes to those above it, a retry at once to
the root, which is started again by the same call if it is closed; and where a parent says that one below it is open
meanwhile, that one is asked next.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

from temporalio.client import Client, WithStartWorkflowOperation, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from orchestration.contracts.fan_out import FanOutInput
from orchestration.contracts.flows import FlowInput
from orchestration.contracts.messages import ChildrenAnswer, ChildrenRequest
from orchestration.contracts.names import CHILD_TASK_QUEUE, PARENT_CLOSING, PARTITION_OPEN
from orchestration.contracts.workflow_ids import root_id
from orchestration.temporal.connection import RPC_TIMEOUT, TemporalUnavailable, unavailable

ROUNDS = 8
ROUND_PAUSE = 0.25
"""Seconds after the first round; as much more after each further one."""


class Routing(ABC):
    """One request for children of one batch. Raises TemporalUnavailable."""

    update: ClassVar[str]
    """The update that parents take."""

    def __init__(self, client: Client, root: FanOutInput | FlowInput, update_id: str) -> None:
        """Take the root's input; the same `update_id` again does nothing and is answered alike."""
        self._client, self._root, self._update_id = client, root, update_id
        self._root_id = root_id(root.batch_id)
        self._answer = ChildrenAnswer()

    async def route(self, parents: Mapping[int, Sequence[str]], believed_open: Collection[str]) -> ChildrenAnswer:
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

    async def _ask_level(self, level: int, turn: int, ways: Mapping[int, Sequence[str]], ask: dict[int, int]) -> None:
        """Ask all parents at one level, and leave in `ask` the children to be asked for elsewhere, and where."""
        groups = defaultdict[str, list[int]](list)
        for child, at in ask.items():
            if at == level:
                groups[ways[child][level]].append(child)
        for workflow_id, children in groups.items():
            update_id = f"{self._update_id}-{turn}-{workflow_id}"
            taken = await (
                self._ask_root(children, update_id) if level == 0 else self._ask(workflow_id, children, update_id)
            )
            if taken is None:
                ask.update(dict.fromkeys(children, self._above(level)))
                continue
            for child in children:
                if taken.refused.get(child) == PARTITION_OPEN and level + 1 < len(ways[child]):
                    ask[child] = level + 1
                else:
                    del ask[child]
            self._answer.accepted.extend(taken.accepted)
            self._answer.unasked.extend(taken.unasked)
            self._answer.refused.update({child: why for child, why in taken.refused.items() if child not in ask})

    def _above(self, level: int) -> int:
        """Return the level to ask where one has closed."""
        return 0

    async def _ask(self, workflow_id: str, children: list[int], update_id: str) -> ChildrenAnswer | None:
        """Ask a parent, or return None when it is closed or about to."""
        handle = self._client.get_workflow_handle(workflow_id)
        with unavailable():
            try:
                answer: ChildrenAnswer = await handle.execute_update(
                    self.update,
                    ChildrenRequest(children),
                    id=update_id,
                    result_type=ChildrenAnswer,
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

    @abstractmethod
    async def _ask_root(self, children: list[int], update_id: str) -> ChildrenAnswer | None:
        """Ask the root, or return None when it is about to close."""


class RetryRouting(Routing):
    """Gives children another attempt."""

    update = "retry"

    def __init__(self, client: Client, root_type: str, root: FanOutInput | FlowInput, update_id: str) -> None:
        """Take the root's workflow type, and the input that starts it to retry."""
        super().__init__(client, root, update_id)
        self._root_type = root_type

    async def go_on(self) -> ChildrenAnswer:
        """Have a root that has closed go on with what it had not done."""
        for turn in range(ROUNDS):
            await asyncio.sleep(ROUND_PAUSE * turn)
            if (taken := await self._ask_root([], f"{self._update_id}-{turn}")) is not None:
                return taken
        raise TemporalUnavailable("The batch is still closing.")

    async def _ask_root(self, children: list[int], update_id: str) -> ChildrenAnswer | None:
        """Ask the root, started again if it is closed."""
        with unavailable():
            try:
                answer: ChildrenAnswer = await self._client.execute_update_with_start_workflow(
                    self.update,
                    ChildrenRequest(children),
                    start_workflow_operation=self._start(),
                    id=update_id,
                    result_type=ChildrenAnswer,
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


class SkipRouting(Routing):
    """Has parents go on without children. Those whose parents have all closed are left `unasked`."""

    update = "skip_children"

    def _above(self, level: int) -> int:
        return level - 1

    async def _ask_root(self, children: list[int], update_id: str) -> ChildrenAnswer | None:
        """Ask the root if it runs and has children itself: a flow's stages do."""
        taken = await self._ask(self._root_id, children, update_id) if isinstance(self._root, FanOutInput) else None
        return taken or ChildrenAnswer(unasked=children)


def _raise_unless_closing(error: WorkflowUpdateFailedError) -> None:
    cause = error.cause
    if not (isinstance(cause, ApplicationError) and cause.type == PARENT_CLOSING):
        raise error
