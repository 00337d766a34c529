"""A Temporal whose workers notify nobody, and a reconciler that runs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pytest_django import Settings
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from dashboard.chunk_store.store import DjangoChunkStore
from dashboard.models import Batch
from dashboard.reconciliation import reconciler
from dashboard.reconciliation.reconciler import run_reconciler
from dashboard.temporal import gateway
from orchestration.activities.parents import ParentActivities
from orchestration.contracts.workflow_ids import root_id
from orchestration.processors import catalogue
from orchestration.temporal.connection import BatchNotRunning
from orchestration.worker import build_workers
from tests.support.stack import TemporalServer


@pytest.fixture(scope="module")
def own_temporal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TemporalServer]:
    """A server on whose queues nobody else's worker polls."""
    server = TemporalServer(Path(tmp_path_factory.mktemp("reconcile")))
    server.start()
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def address(own_temporal: TemporalServer, settings: Settings) -> Iterator[str]:
    """Point the process's gateway to the server."""
    settings.TEMPORAL_ADDRESS = own_temporal.address
    gateway.cache_clear()
    yield own_temporal.address
    gateway.cache_clear()


@pytest.fixture
async def client(address: str) -> Client:
    return await Client.connect(address, data_converter=pydantic_data_converter)


@pytest.fixture
async def worker(client: Client) -> AsyncIterator[None]:
    """Run workflows and chunks; nobody polls the dashboard's queue, so nothing is ever notified."""
    catalogue.load()
    activities = ParentActivities(DjangoChunkStore())
    (worker,) = build_workers(client, activities)
    async with worker:
        yield
    activities.close()


@pytest.fixture
async def running_reconciler(worker: None, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Run the reconciler, and end what is left of the batches afterwards."""
    monkeypatch.setattr(reconciler, "LAUNCH_HEAD_START", timedelta(0))
    task = asyncio.create_task(run_reconciler())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async for batch in Batch.objects.all():
        with contextlib.suppress(BatchNotRunning):
            await gateway().terminate(root_id(batch.pk), "The test is over.")
