"""The Temporal service as somebody who installs Canopy has to know it: version, namespace, clock."""

from __future__ import annotations

import asyncio
import time
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
from temporalio.service import RPCError, RPCStatusCode

from orchestration.temporal.connection import RPC_TIMEOUT, TemporalRefused, unavailable
from orchestration.temporal.protobuf import to_datetime

PROBED_QUEUE = "canopy-check"
"""A task queue that nobody uses: its pollers say when Temporal saw them, by Temporal's clock."""

POLL_FOR = timedelta(seconds=5)
"""Temporal refuses a poll that is to take less than 2 s."""

LOOK_EVERY = 0.1


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
        try:
            found = await client.workflow_service.describe_namespace(
                DescribeNamespaceRequest(namespace=client.namespace), timeout=RPC_TIMEOUT
            )
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise TemporalRefused(error.message, error.status) from error
            raise
    retention = found.config.workflow_execution_retention_ttl.ToTimedelta()
    ahead, precision = await _clock(client)
    return ServiceState(system.server_version, retention, ahead, precision)


async def _clock(client: Client) -> tuple[float | None, float]:
    """Return by how much Temporal's clock is ahead, and how exact that is: it notes when somebody polls."""
    identity, began = f"canopy-check-{uuid4().hex}", time.time()
    poll = PollActivityTaskQueueRequest(
        namespace=client.namespace, task_queue=TaskQueue(name=PROBED_QUEUE), identity=identity
    )
    polling = asyncio.ensure_future(client.workflow_service.poll_activity_task_queue(poll, timeout=POLL_FOR))
    try:
        while not polling.done():
            await asyncio.sleep(LOOK_EVERY)
            ended = time.time()
            if (seen := await _poll_seen_at(client, identity)) is not None:
                return seen - (began + ended) / 2, (ended - began) / 2
    except RPCError:
        return None, 0.0  # it may not be asked; nothing depends on it
    finally:
        polling.cancel()
        await asyncio.gather(polling, return_exceptions=True)
    return None, 0.0


async def _poll_seen_at(client: Client, identity: str) -> float | None:
    """Return when Temporal saw a poll begin, by its own clock, or None while it has not."""
    request = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=PROBED_QUEUE),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
    )
    described = await client.workflow_service.describe_task_queue(request, timeout=RPC_TIMEOUT)
    times = [to_datetime(each.last_access_time).timestamp() for each in described.pollers if each.identity == identity]
    return times[0] if times else None
