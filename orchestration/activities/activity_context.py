"""ActivityContext: while an activity runs, lines of the log say of which batch, node, run and attempt it is."""

from __future__ import annotations

from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from orchestration.contracts.workflow_ids import batch_of
from orchestration.telemetry import log_context


class ActivityContext(Interceptor):
    """Binds it for all activities of a worker."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002  SDK's
        """Return an interceptor that does."""
        return _Binding(next)


class _Binding(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002  SDK's
        """Execute an activity."""
        info, first = activity.info(), input.args[0] if input.args else None
        workflow_id = info.workflow_id or ""
        batch = getattr(first, "batch_id", "") or getattr(getattr(first, "chunk", None), "batch_id", "")
        with log_context.bound(
            batch=batch or batch_of(workflow_id),
            node=workflow_id,
            run=info.workflow_run_id,
            attempt=info.attempt,
            queue=info.task_queue,
            activity=info.activity_type,
            delivery=getattr(first, "delivery_id", ""),
        ):
            return await super().execute_activity(input)
