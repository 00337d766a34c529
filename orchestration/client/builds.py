"""Builds of a worker deployment, as Temporal knows them: which one is current, and what still runs on the others."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import datetime

from temporalio.api.enums.v1 import WorkerDeploymentVersionStatus
from temporalio.api.workflowservice.v1 import (
    CountWorkflowExecutionsRequest,
    DescribeWorkerDeploymentRequest,
    DescribeWorkerDeploymentResponse,
    SetWorkerDeploymentCurrentVersionRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from orchestration.client.visibility import has_id
from orchestration.temporal.connection import RPC_TIMEOUT, unavailable
from orchestration.temporal.protobuf import to_datetime

log = logging.getLogger(__name__)

REGISTERED_WITHIN = 60.0
"""Seconds that a worker waits for Temporal to know the build that polls."""

LOOK_EVERY = 1.0

VERSION = "TemporalWorkerDeploymentVersion"
"""Search attribute of Temporal's own."""


@dataclass(frozen=True)
class Build:
    """A build: "inactive", "current", "ramping", "draining" or "drained", since when it is known, and what it runs.

    One that drains still has open workflows that stay with it; the workers of one that is drained can be stopped.
    """

    id: str
    status: str
    known_since: datetime
    open_workflows: int

    @property
    def is_current(self) -> bool:
        """Whether new batches go to it."""
        return self.status == "current"


async def list_builds(client: Client, deployment: str) -> list[Build]:
    """Return the builds of a deployment, the newest first; none where Temporal has no such deployment.

    Raises TemporalUnavailable.
    """
    described = await _describe(client, deployment)
    if described is None:
        return []
    found = [
        Build(
            each.deployment_version.build_id,
            WorkerDeploymentVersionStatus.Name(each.status).removeprefix("WORKER_DEPLOYMENT_VERSION_STATUS_").lower(),
            to_datetime(each.create_time),
            await _count_open(client, deployment, each.deployment_version.build_id),
        )
        for each in described.worker_deployment_info.version_summaries
    ]
    return sorted(found, key=lambda build: build.known_since, reverse=True)


async def make_current(client: Client, deployment: str, build_id: str) -> None:
    """Have new batches go to a build. Raises LookupError for one that no worker has had, and TemporalUnavailable."""
    request = SetWorkerDeploymentCurrentVersionRequest(
        namespace=client.namespace, deployment_name=deployment, build_id=build_id, ignore_missing_task_queues=True
    )
    try:
        with unavailable():
            await client.workflow_service.set_worker_deployment_current_version(request, timeout=RPC_TIMEOUT)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise LookupError(f"No worker of the deployment {deployment} has had the build {build_id}.") from error
        raise


async def make_first_current(client: Client, deployment: str, build_id: str) -> None:
    """Make a build current that polls by now, if its deployment has no current one yet: nothing would run otherwise.

    Returns once it is known. A cluster without worker deployments is logged.
    """
    try:
        async with asyncio.timeout(REGISTERED_WITHIN):
            while (described := await _describe(client, deployment)) is None or not _has(described, build_id):
                await asyncio.sleep(LOOK_EVERY)
        if not described.worker_deployment_info.routing_config.current_deployment_version.build_id:
            await make_current(client, deployment, build_id)
            log.info("The build %s is the first of the deployment %s, and current.", build_id, deployment)
    except Exception as error:
        log.warning(
            "Whether the deployment %s has a current build is not known (%s): `canopy builds` says, and makes one "
            "current. A Temporal before 1.28 has no deployments; unset CANOPY_WORKER_DEPLOYMENT for it.",
            deployment,
            error or type(error).__name__,
        )


def _has(described: DescribeWorkerDeploymentResponse, build_id: str) -> bool:
    known = described.worker_deployment_info.version_summaries
    return any(each.deployment_version.build_id == build_id for each in known)


async def _describe(client: Client, deployment: str) -> DescribeWorkerDeploymentResponse | None:
    request = DescribeWorkerDeploymentRequest(namespace=client.namespace, deployment_name=deployment)
    try:
        with unavailable():
            return await client.workflow_service.describe_worker_deployment(request, timeout=RPC_TIMEOUT)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise


async def _count_open(client: Client, deployment: str, build_id: str) -> int:
    query = f"{has_id(VERSION, f'{deployment}:{build_id}')} AND ExecutionStatus = 'Running'"
    request = CountWorkflowExecutionsRequest(namespace=client.namespace, query=query)
    with unavailable():
        return (await client.workflow_service.count_workflow_executions(request, timeout=RPC_TIMEOUT)).count
