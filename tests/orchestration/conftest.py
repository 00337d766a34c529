"""One engine a session; `engine` has a dashboard that listens, `deaf_engine` has none."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client

from tests.support.engine import Engine, running_engine
from tests.support.stack import TemporalServer


@pytest.fixture(scope="session")
async def deaf_engine(temporal_client: Client, temporal_server: TemporalServer) -> AsyncIterator[Engine]:
    """Workers, and nobody on the dashboard's queue."""
    async with running_engine(temporal_client, temporal_server.address) as engine:
        yield engine


@pytest.fixture
async def engine(deaf_engine: Engine) -> AsyncIterator[Engine]:
    """Workers and a dashboard that listens."""
    async with deaf_engine.listener():
        yield deaf_engine


@pytest.fixture
def small_partitions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put more than 6 children into partitions of 4, so that a tree is small enough for a test."""
    monkeypatch.setattr("orchestration.plan.layout.MAX_FLAT_CHILDREN", 6)
    monkeypatch.setattr("orchestration.plan.layout.PARTITION_SIZE", 4)
