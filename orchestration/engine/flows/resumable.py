"""ResumableFlow: a flow that another run resumes where the last one stopped.

Workflow code: deterministic.
"""

from __future__ import annotations

from collections.abc import Mapping

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.flows import FlowInput, FlowState
    from orchestration.contracts.messages import ChildrenAnswer, ChildrenRequest
    from orchestration.contracts.names import RETRY_UPDATE
    from orchestration.engine.flows.bounds import PAYLOAD_LIMIT, size_of
    from orchestration.engine.flows.flow import FlowParent
    from orchestration.engine.parent import ChildrenUpdate
    from orchestration.engine.retry import await_retry, validate_request

NO_CHILD = "no such child"

STATE_LIMIT = PAYLOAD_LIMIT - 500_000
"""Bytes of a state. The input of the run that continues from it contains a definition and a plan too."""

BESIDE_STATE = 150_000
"""Bytes that such an input needs beside its state and its definition."""


class ResumableFlow(FlowParent):
    """A flow that can be started again to retry: it waits for the `retry` update, and runs what has not completed.

    Update: `retry`. Queries: FlowParent's, and `state`.
    """

    def __init__(self, given: FlowInput) -> None:
        super().__init__(given)
        self._retry_came = False
        self.results = given.before.by_name
        self.fan_outs = dict(given.before.fan_outs)
        self.window = given.window or given.before.window

    async def await_retry(self) -> None:
        """Wait for the update that says what is to be retried."""
        await await_retry(lambda: self._retry_came)

    def has_child(self, child: int) -> bool:
        """Whether there is such a child: a flow has none of its own, unless it fans out."""
        return False

    def retry_child(self, child: int) -> str | None:
        """Have a child run again, or return why not."""
        return NO_CHILD

    @workflow.query
    def state(self) -> FlowState:
        """Return what has completed: where another run resumes. A result that a row has is in it once."""
        state = FlowState.of(self.done, self.results, self.fan_outs, self.position, self.window)
        size = size_of(state)
        limit = min(STATE_LIMIT, PAYLOAD_LIMIT - BESIDE_STATE - size_of(self.given.definition))
        return state if size <= limit else FlowState(bytes=size)

    @workflow.update
    def retry(self, request: ChildrenRequest) -> ChildrenAnswer:
        """Give children another attempt. Without any, only the steps that have not completed are run."""
        return self._retry(request)

    def _retry(self, request: ChildrenRequest) -> ChildrenAnswer:
        answer = ChildrenAnswer.of(request, self.retry_child)
        self._retry_came = True
        return answer

    def children_updates(self) -> Mapping[str, ChildrenUpdate]:
        """Return `retry`."""
        return {RETRY_UPDATE: (self._validate_retry, self._retry)}

    @retry.validator
    def _validate_retry(self, request: ChildrenRequest) -> None:
        validate_request(request, self.has_child, is_closing=self.is_closing or bool(self.given.undo))
