"""Routes updates that name children to the parents that can accept them.

The innermost open parent is tried first. Where it has closed, a skip is sent to the parent above it, and a retry to the
root, which the same call starts again if it is closed. Where a parent refuses a child because a partition below it has
opened meanwhile, that partition is tried next.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
    WorkflowUpdateFailedError,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from orchestration.client.places import when_there_is_a_place
from orchestration.client.signals import OPTIONAL_ANSWER, send_signal
from orchestration.contracts.fan_out import FanOutInput
from orchestration.contracts.flows import FlowInput
from orchestration.contracts.messages import ChildrenAnswer, ChildrenCommand, ChildrenRequest
from orchestration.contracts.names import (
    ANSWER_QUERY,
    ASK_SIGNAL,
    CHILD_TASK_QUEUE,
    PARENT_CLOSING,
    PARTITION_OPEN,
    RETRY_UPDATE,
    SKIP_CHILDREN_UPDATE,
)
from orchestration.contracts.workflow_ids import root_id
from orchestration.temporal.commands import Inquiry, InquiryKind, OutcomeUnknown, commanded
from orchestration.temporal.connection import RPC_TIMEOUT, TemporalUnavailable

CHILDREN_PER_UPDATE = 15_000
"""A payload has at most 2 MB, in a request as in its answer, which may name each child with a reason of 100 bytes."""

CLOSED = (RPCStatusCode.NOT_FOUND, RPCStatusCode.ABORTED)
"""Of an update whose workflow is closed, or closed as it came."""

CLOSING = (PARENT_CLOSING, "AcceptedUpdateCompletedWorkflow")
"""Types of the failure of an update that came as the workflow closed: ours, and Temporal's."""

UPDATE_TIMEOUT = timedelta(seconds=10)
"""Longer than a run waits for the worker that had it (4 s) before another one takes it: a loss makes it late."""

NOT_ASKED = "not asked: another request of this action has not been answered"

ROUNDS = 8
ROUND_PAUSE = 0.25
"""Seconds between the first two rounds; the pause grows by as much with each further round."""


class Routing(ABC):
    """One request for children of one batch. Every call may raise TemporalUnavailable, where nothing was sent.

    Where an update is not answered, the children that were not asked yet are refused, and OutcomeUnknown has the answer
    for all others.
    """

    update: ClassVar[str]
    """Name of the update."""

    def __init__(
        self, client: Client, root: FanOutInput | FlowInput, update_id: str, lost: Collection[int] = ()
    ) -> None:
        """Take the root's input; `lost` as in a ChildrenRequest. Idempotent for an `update_id`."""
        self._client, self._root, self._update_id, self._lost = client, root, update_id, frozenset(lost)
        self._root_id = root_id(root.batch_id)
        self._answer = ChildrenAnswer()

    async def route(self, parents: Mapping[int, Sequence[str]], believed_open: Collection[str]) -> ChildrenAnswer:
        """Send updates until every child is accepted or refused, or its parent has been closing for too long."""
        paths = {child: (self._root_id, *above) for child, above in parents.items()}
        levels = {
            child: max(at for at, each in enumerate(path) if not at or each in believed_open)
            for child, path in paths.items()
        }
        for turn in range(ROUNDS):
            await asyncio.sleep(ROUND_PAUSE * turn)
            try:
                for level in sorted({*levels.values()}, reverse=True):
                    await self._send_to_level(level, turn, paths, levels)
            except OutcomeUnknown as error:
                raise self._unanswered(error, levels) from error
            except TemporalUnavailable as error:
                if not self._answer.accepted:
                    raise
                self._answer.refused.update(dict.fromkeys(levels, str(error)))
                return self._answer
            if not levels:
                break
        self._answer.refused.update(dict.fromkeys(levels, "its parent is finishing: try again"))
        return self._answer

    async def _send_to_level(
        self, level: int, turn: int, paths: Mapping[int, Sequence[str]], levels: dict[int, int]
    ) -> None:
        """Send the update to all parents at one level; `levels` keeps the children still to be routed, and where to."""
        groups = defaultdict[str, list[int]](list)
        for child, at in levels.items():
            if at == level:
                groups[paths[child][level]].append(child)
        for workflow_id, number, children in _slices(groups):
            update_id = f"{self._update_id}-{turn}-{workflow_id}" + (f"-{number}" if number else "")
            answer = await (
                self._send_to_root(children, update_id) if level == 0 else self._send(workflow_id, children, update_id)
            )
            if answer is None:
                levels.update(dict.fromkeys(children, self._level_if_closed(level)))
                continue
            for child in children:
                if answer.refused.get(child) == PARTITION_OPEN and level + 1 < len(paths[child]):
                    levels[child] = level + 1
                else:
                    del levels[child]
            self._answer.accepted.extend(answer.accepted)
            self._answer.unasked.extend(answer.unasked)
            self._answer.refused.update({child: why for child, why in answer.refused.items() if child not in levels})

    def _unanswered(self, error: OutcomeUnknown, levels: Mapping[int, int]) -> OutcomeUnknown:
        unknown = {child for inquiry in error.inquiries for child in inquiry.children}
        self._answer.refused.update(dict.fromkeys(levels.keys() - unknown, NOT_ASKED))
        return OutcomeUnknown(str(error), error.inquiries, self._answer)

    def _request(self, children: list[int]) -> ChildrenRequest:
        """Return what an update asks for."""
        return ChildrenRequest(children, [child for child in children if child in self._lost])

    def _level_if_closed(self, level: int) -> int:
        """Return the level to try next where the parent at one has closed."""
        return 0

    async def _send(self, workflow_id: str, children: list[int], update_id: str) -> ChildrenAnswer | None:
        """Send the update to a parent; None when it is closed or closing."""

        async def update() -> ChildrenAnswer:
            answer: ChildrenAnswer = await self._client.get_workflow_handle(workflow_id).execute_update(
                self.update,
                self._request(children),
                id=update_id,
                result_type=ChildrenAnswer,
                rpc_timeout=UPDATE_TIMEOUT,
            )
            return answer

        return await self._answer_to(update, workflow_id, children, update_id)

    async def _answer_to(
        self, update: Callable[[], Awaitable[ChildrenAnswer]], workflow_id: str, children: list[int], update_id: str
    ) -> ChildrenAnswer | None:
        """Return the answer of an update; None where the parent is closing or has closed."""
        with commanded(Inquiry(InquiryKind.UPDATE, workflow_id, update_id, children)):
            try:
                return await when_there_is_a_place(workflow_id, update)
            except WorkflowUpdateFailedError as error:
                if not (isinstance(error.cause, ApplicationError) and error.cause.type in CLOSING):
                    raise
            except RPCError as error:
                if _is_used_up(error):
                    return await self._ask(workflow_id, children, update_id)
                if error.status not in CLOSED:
                    raise
        return None

    async def _ask(self, workflow_id: str, children: list[int], command_id: str) -> ChildrenAnswer | None:
        """Ask by signal a run that takes no further update; None where it has closed."""
        command = ChildrenCommand(self.update, command_id, self._request(children))
        with commanded(Inquiry(InquiryKind.ANSWER, workflow_id, command_id, children)):
            try:
                await send_signal(self._client, workflow_id, ASK_SIGNAL, command, mark=command_id)
                return await self._answer_by_query(workflow_id, command_id)
            except RPCError as error:
                if error.status not in CLOSED:
                    raise
                return None
            except (WorkflowQueryFailedError, WorkflowQueryRejectedError) as error:
                raise TimeoutError from error

    async def _answer_by_query(self, workflow_id: str, command_id: str) -> ChildrenAnswer:
        handle = self._client.get_workflow_handle(workflow_id)
        async with asyncio.timeout(RPC_TIMEOUT.total_seconds()):
            while True:
                answer: ChildrenAnswer | None = await handle.query(
                    ANSWER_QUERY, command_id, result_type=OPTIONAL_ANSWER, rpc_timeout=RPC_TIMEOUT
                )
                if answer is not None:
                    return answer
                await asyncio.sleep(ROUND_PAUSE)

    @abstractmethod
    async def _send_to_root(self, children: list[int], update_id: str) -> ChildrenAnswer | None:
        """Send the update to the root; None when it is closing."""


def _is_used_up(error: RPCError) -> bool:
    """Whether a run has had as many updates as Temporal allows."""
    return error.status is RPCStatusCode.FAILED_PRECONDITION and "number of distinct updates" in error.message


def _slices(groups: Mapping[str, list[int]]) -> Iterator[tuple[str, int, list[int]]]:
    """Yield for each parent its children, CHILDREN_PER_UPDATE at a time and numbered."""
    for workflow_id, children in groups.items():
        for number, first in enumerate(range(0, len(children), CHILDREN_PER_UPDATE)):
            yield workflow_id, number, children[first : first + CHILDREN_PER_UPDATE]


class RetryRouting(Routing):
    """Gives children another attempt."""

    update = RETRY_UPDATE

    def __init__(
        self,
        client: Client,
        root_type: str,
        root: FanOutInput | FlowInput,
        update_id: str,
        lost: Collection[int] = (),
    ) -> None:
        """Take the root's workflow type, and the input that starts it again."""
        super().__init__(client, root, update_id, lost)
        self._root_type = root_type

    async def restart(self) -> ChildrenAnswer:
        """Start a closed root again, to continue with the steps that are not done."""
        for turn in range(ROUNDS):
            await asyncio.sleep(ROUND_PAUSE * turn)
            if (taken := await self._send_to_root([], f"{self._update_id}-{turn}")) is not None:
                return taken
        raise TemporalUnavailable("The batch is still finishing.")

    async def _send_to_root(self, children: list[int], update_id: str) -> ChildrenAnswer | None:
        """Send the update to the root, and start it again if it is closed."""

        async def update() -> ChildrenAnswer:
            start = self._start()
            started = asyncio.ensure_future(start.workflow_handle())
            started.add_done_callback(lambda each: each.cancelled() or each.exception())  # or asyncio logs it
            answer: ChildrenAnswer = await self._client.execute_update_with_start_workflow(
                self.update,
                self._request(children),
                start_workflow_operation=start,
                id=update_id,
                result_type=ChildrenAnswer,
                rpc_timeout=UPDATE_TIMEOUT,
            )
            return answer

        return await self._answer_to(update, self._root_id, children, update_id)

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
    """Has parents continue without children. Those whose parents have all closed are `unasked`."""

    update = SKIP_CHILDREN_UPDATE

    def _level_if_closed(self, level: int) -> int:
        return level - 1

    async def _send_to_root(self, children: list[int], update_id: str) -> ChildrenAnswer | None:
        """Send the update to the root if it has children itself; those of a flow are below its stages."""
        taken = await self._send(self._root_id, children, update_id) if isinstance(self._root, FanOutInput) else None
        return taken or ChildrenAnswer(unasked=children)
