"""Two builds of workers side by side: what runs stays with its build, what is new goes to the current one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import UnsandboxedWorkflowRunner, WorkerDeploymentConfig

from orchestration.activities.parents import ParentActivities
from orchestration.client.builds import Build, list_builds, make_current, make_first_current
from orchestration.contracts.workflow_ids import child_id, root_id
from orchestration.gateway import Gateway
from orchestration.temporal import deployment
from orchestration.temporal.connection import Connection, connect_with_retries
from orchestration.worker import build_workers
from tests.support.engine import Engine, make_namespace
from tests.support.environment import ROOT
from tests.support.probe import Probe
from tests.support.stack import TemporalServer
from tests.support.waiting import until

NAME = "canopy"


@pytest.fixture
async def engine(temporal_server: TemporalServer, temporal_client: Client) -> AsyncIterator[Engine]:
    """An engine on a namespace of its own, without workers yet."""
    namespace = "builds"
    await make_namespace(temporal_client, namespace)
    connection = Connection(temporal_server.address, namespace)

    async def is_there() -> bool:
        try:
            await (await connect_with_retries(connection)).count_workflows()
        except Exception:
            return False
        return True

    await until(is_there, "the namespace is known")
    engine = Engine(await connect_with_retries(connection), Gateway(connection))
    async with engine.listener():
        yield engine


@asynccontextmanager
async def worker_of(engine: Engine, build: str) -> AsyncIterator[None]:
    """Run a worker of a build."""
    activities = ParentActivities(engine.store)
    config = WorkerDeploymentConfig(WorkerDeploymentVersion(NAME, build), True, VersioningBehavior.PINNED)
    runner = UnsandboxedWorkflowRunner()
    (worker,) = build_workers(engine.client, activities, workflow_runner=runner, deployment=config)
    async with worker:
        yield
    activities.close()


async def build_of(engine: Engine, workflow_id: str) -> str:
    """Return with which build a workflow stays."""
    described = await engine.client.get_workflow_handle(workflow_id).describe()
    return str(described.raw_description.workflow_execution_info.versioning_info.deployment_version.build_id)


async def builds(engine: Engine) -> tuple[Build, Build]:
    """Return the old and the new build."""
    found = {build.id: build for build in await list_builds(engine.client, NAME)}
    return found["old"], found["new"]


async def test_a_running_batch_stays_with_its_build_and_new_ones_go_to_the_current_one(engine: Engine) -> None:
    assert await list_builds(engine.client, NAME) == []
    with pytest.raises(LookupError, match="has had the build"):
        await make_current(engine.client, NAME, "old")
    async with worker_of(engine, "old"):
        await make_first_current(engine.client, NAME, "old")
        probe = Probe()
        probe.gate.clear()
        running = await engine.launch(3, probe, window=1)
        await running.calls(1)
        async with worker_of(engine, "new"):
            await make_first_current(engine.client, NAME, "new")
            assert [build.status for build in await builds(engine)] == ["current", "inactive"]
            await make_current(engine.client, NAME, "new")
            fresh = await engine.launch(1)
            await fresh.result()
            assert (
                await build_of(engine, root_id(fresh.id))
                == await build_of(engine, child_id(fresh.id, 0, None))
                == "new"
            )

            async def drains() -> bool:
                found = {build.id: build for build in await list_builds(engine.client, NAME)}
                return (found["old"].status, found["old"].open_workflows, found["new"].is_current) == (
                    "draining",
                    2,
                    True,
                )

            await until(drains, "the old build has a root and a child open")
            probe.gate.set()
            await running.result()
            assert {await build_of(engine, child_id(running.id, number, None)) for number in range(3)} == {"old"}

            async def runs_nothing() -> bool:
                old, _ = await builds(engine)
                return old.open_workflows == 0

            await until(runs_nothing, "nothing of the old build is open")


def test_a_build_is_told_by_its_code_or_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(deployment.DEPLOYMENT, raising=False)
    assert deployment.deployment_of_environment() is None
    monkeypatch.setenv(deployment.DEPLOYMENT, "canopy")
    config = deployment.deployment_of_environment()
    assert config is not None
    assert config.version == WorkerDeploymentVersion("canopy", deployment.build_id())
    assert deployment.build_id() == deployment.build_id() != ""
    monkeypatch.setenv(deployment.BUILD, "registry/canopy:7")
    assert deployment.build_id() == "registry/canopy:7"


@pytest.mark.parametrize(("given", "said"), [("canopy", {"AUTO_UPGRADE"}), ("", set[str]())])
def test_what_outlives_a_release_follows_the_current_build_where_there_are_any(given: str, said: set[str]) -> None:
    """Temporal refuses what a worker without a build says of builds: with that, no such workflow would run."""
    code = (
        "from orchestration.worker import WORKFLOWS; from temporalio.workflow import _Definition\n"
        "found = {_Definition.must_from_class(each).versioning_behavior.name for each in WORKFLOWS}\n"
        "print(*found - {'UNSPECIFIED'})"
    )
    env = {**os.environ, deployment.DEPLOYMENT: given}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    assert set(done.stdout.split()) == said
