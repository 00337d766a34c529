"""canopy builds: without builds, with the one that is installed here, and with one that no worker has had."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest
from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Worker

from dashboard.cli.builds import builds
from dashboard.cli.refusal import Refused
from orchestration.client.builds import make_first_current
from orchestration.temporal.deployment import BUILD, DEPLOYMENT, deployment_of_environment
from tests.support.stack import TemporalServer


@activity.defn
async def nothing() -> None:
    """Do nothing: only that its worker polls is needed."""


async def test_builds_are_listed_and_one_is_made_current(
    temporal_server: TemporalServer,
    temporal_client: Client,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = f"deployment-{uuid4().hex}"
    monkeypatch.setenv("TEMPORAL_ADDRESS", temporal_server.address)
    monkeypatch.setenv(DEPLOYMENT, name)
    monkeypatch.setenv(BUILD, "here")
    await asyncio.to_thread(builds)
    assert capsys.readouterr().out == f"Temporal has no deployment {name} yet: start a worker.\n"
    config = deployment_of_environment()
    async with Worker(temporal_client, task_queue=name, activities=[nothing], deployment_config=config):
        await make_first_current(temporal_client, name, "here")
        await asyncio.to_thread(builds, make_current="this")
        assert capsys.readouterr().out == "here\tcurrent\t0 open workflows (installed here)\n"
        with pytest.raises(Refused, match=f"No worker of the deployment {name} has had the build other"):
            await asyncio.to_thread(builds, make_current="other")


def test_workers_without_builds_are_said_to_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DEPLOYMENT, raising=False)
    with pytest.raises(Refused, match=f"{DEPLOYMENT} is not set"):
        builds()
