"""RetriedFlow: a flow that another run takes up where the last one stopped.

Workflow code: deterministic.
"""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.flows import FlowInput, FlowState
    from orchestration.contracts.messages import ChildrenAnswer, ChildrenRequest
    from orchestration.contracts.names import PARENT_CLOSING
    from orchestration.engine.flows.flow import FlowParent

WAIT_FOR_RETRY = timedelta(minutes=1)
"""A root that was started to retry gives up when its `retry` update does not come."""
NO_CHILD = "no such child"


class RetriedFlow(FlowParent):
    """A flow that can be started again to retry: it waits for the `retry` update, and does what is not done yet.

    Update: `retry`. Queries: FlowParent's, and `state`.
    """

    def __init__(self, given: FlowInput) -> None:
        super().__init__(given)
        self._retry_came = False
        self.results = dict(given.before.results)
        self.fan_outs = dict(given.before.fan_outs)

    async def await_retry(self) -> None:
        """Wait for what is to be retried."""
        try:
            await workflow.wait_condition(lambda: self._retry_came, timeout=WAIT_FOR_RETRY)
        except TimeoutError:
            workflow.logger.warning("Started to retry, but no retry came.")

    def knows(self, child: int) -> bool:
        """Whether there is such a child: a flow has none of its own, unless it fans out."""
        return False

    def take(self, child: int) -> str | None:
        """Take on a child, or return why not."""
        return NO_CHILD

    @workflow.query
    def state(self) -> FlowState:
        """Return what is done: where another run goes on."""
        return FlowState(self.done, self.results, self.fan_outs, self.position)

    @workflow.update
    def retry(self, request: ChildrenRequest) -> ChildrenAnswer:
        """Give children another attempt. Without any, only what the flow has not done yet is done."""
        answer = ChildrenAnswer.of(request, self.take)
        self._retry_came = True
        return answer

    @retry.validator
    def _validate_retry(self, request: ChildrenRequest) -> None:
        if self.is_closing:
            raise ApplicationError("The parent is closing.", type=PARENT_CLOSING)
        for child in request.children:
            if not self.knows(child):
                raise ApplicationError(f"No such child: {child}.", type="NoSuchChild")
