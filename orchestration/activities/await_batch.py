"""await_batch: wait until a batch's root has closed, on a task queue of its own so that it takes no chunk's slot."""

from __future__ import annotations

from temporalio import activity
from temporalio.client import Client, WorkflowFailureError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker

from orchestration.contracts.dashboard_activities import LaunchedBatch
from orchestration.contracts.names import AWAIT_BATCH_ACTIVITY, SCHEDULE_TASK_QUEUE
from orchestration.contracts.workflow_ids import root_id
from orchestration.temporal.heartbeat import heartbeating

BATCHES_AWAITED = 1_000


@activity.defn(name=AWAIT_BATCH_ACTIVITY)
async def await_batch(launched: LaunchedBatch) -> None:
    """Return when the root has closed, with any outcome; one that Temporal does not know (any more) is closed."""
    try:
        async with heartbeating():
            await activity.client().get_workflow_handle(root_id(launched.batch_id)).result()
    except WorkflowFailureError:
        return
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise


def waiting_worker(client: Client) -> Worker:
    """Return the worker that awaits batches. It need not finish anything at shutdown: another worker resumes."""
    return Worker(
        client,
        task_queue=SCHEDULE_TASK_QUEUE,
        activities=[await_batch],
        max_concurrent_activities=BATCHES_AWAITED,
    )
