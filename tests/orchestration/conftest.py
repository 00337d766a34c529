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
