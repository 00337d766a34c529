"""The Temporal service as somebody who installs Canopy has to know it: version, namespace, clock."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    DescribeTaskQueueRequest,
    GetSystemInfoRequest,
    PollActivityTaskQueueRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError

from orchestration.temporal.connection import RPC_TIMEOUT, unavailable
from orchestration.temporal.protobuf import to_datetime

PROBED_QUEUE = "canopy-check"
"""A task queue that nobody uses: its pollers say when Temporal saw them, by Temporal's clock."""

POLL_FOR = timedelta(seconds=0.5)


@dataclass(frozen=True)
class ServiceState:
    """The server's version, how long the namespace keeps histories, and by how many seconds its clock is ahead of ours.

    `ahead` None: unknown; `precision` is the time that the question took.
    """

    version: str
    retention: timedelta
    ahead: float | None
    precision: float = 0.0


async def service_state(client: Client) -> ServiceState:
    """Return the state of the service. Raises TemporalUnavailable, as TemporalRefused where there is no namespace."""
    with unavailable():
        system = await client.workflow_service.get_system_info(GetSystemInfoRequest(), timeout=RPC_TIMEOUT)
        found = await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=client.namespace), timeout=RPC_TIMEOUT
        )
    retention = found.config.workflow_execution_retention_ttl.ToTimedelta()
    ahead, precision = await _clock(client)
    return ServiceState(system.server_version, retention, ahead, precision)


async def _clock(client: Client) -> tuple[float | None, float]:
    """Return by how much Temporal's clock is ahead, and how exact that is: it notes when somebody polls."""
    identity, began = f"canopy-check-{uuid4().hex}", time.time()
    poll = PollActivityTaskQueueRequest(
        namespace=client.namespace, task_queue=TaskQueue(name=PROBED_QUEUE), identity=identity
    )
    with suppress(RPCError):  # nothing is there to be polled, so that it ends by its timeout
        await client.workflow_service.poll_activity_task_queue(poll, timeout=POLL_FOR)
    ended = time.time()
    request = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=PROBED_QUEUE),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
    )
    with suppress(RPCError):
        described = await client.workflow_service.describe_task_queue(request, timeout=RPC_TIMEOUT)
        for poller in described.pollers:
            if poller.identity == identity:
                return to_datetime(poller.last_access_time).timestamp() - (began + ended) / 2, (ended - began) / 2
    return None, 0.0
