"""A Temporal that answers nothing, at once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dashboard.temporal import gateway
from orchestration.client.executions import ExecutionReader
from orchestration.temporal.connection import TemporalUnavailable


@pytest.fixture
def temporal_away(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let Temporal answer nothing: what would be asked of it says 503, which is beyond every guard."""

    async def away(self: object) -> None:
        raise TemporalUnavailable("away")

    gateway.cache_clear()
    monkeypatch.setattr(ExecutionReader, "client", away)
    yield
    gateway.cache_clear()
