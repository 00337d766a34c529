"""await_batch: waits until a batch's root has closed, on a task queue of its own so that it takes no chunk's place."""

from __future__ import annotations

import asyncio

from temporalio import activity
from temporalio.client import Client, WorkflowFailureError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker

from orchestration.contracts.dashboard_activities import LaunchedBatch
from orchestration.contracts.names import AWAIT_BATCH_ACTIVITY, SCHEDULE_TASK_QUEUE
from orchestration.contracts.workflow_ids import root_id

HEARTBEAT_EVERY = 5.0
BATCHES_AWAITED = 1_000


class BatchWaiting:
    """The activity of scheduled launches, over the worker's own client."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @activity.defn(name=AWAIT_BATCH_ACTIVITY)
    async def await_batch(self, launched: LaunchedBatch) -> None:
        """Return when the root has closed, however it did; a root that Temporal does not know (any more) is closed."""
        heart = asyncio.create_task(_beat())
        try:
            await self._client.get_workflow_handle(root_id(launched.batch_id)).result()
        except WorkflowFailureError:
            return
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
        finally:
            heart.cancel()


def waiting_worker(client: Client) -> Worker:
    """Return the worker that awaits batches. Nothing of it is worth finishing at shutdown: another one goes on."""
    return Worker(
        client,
        task_queue=SCHEDULE_TASK_QUEUE,
        activities=[BatchWaiting(client).await_batch],
        max_concurrent_activities=BATCHES_AWAITED,
    )


async def _beat() -> None:
    while True:
        activity.heartbeat()
        await asyncio.sleep(HEARTBEAT_EVERY)
