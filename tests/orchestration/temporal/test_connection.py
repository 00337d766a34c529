"""A search without an answer means that Temporal is away only where it answers nothing else either."""

from __future__ import annotations

import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from orchestration.temporal.connection import TemporalSlow, TemporalUnavailable, searching


def failed(status: RPCStatusCode) -> RPCError:
    return RPCError("the reason.", status, b"")


async def search(client: Client, error: RPCError) -> None:
    async def connected() -> Client:
        return client

    async with searching(connected):
        raise error


async def test_a_late_search_is_slow_while_temporal_answers(temporal_client: Client) -> None:
    with pytest.raises(TemporalSlow, match="longer than 5 s"):
        await search(temporal_client, failed(RPCStatusCode.DEADLINE_EXCEEDED))


async def test_what_temporal_did_not_receive_is_away_although_it_answers_now(temporal_client: Client) -> None:
    with pytest.raises(TemporalUnavailable) as raised:
        await search(temporal_client, failed(RPCStatusCode.UNAVAILABLE))
    assert type(raised.value) is TemporalUnavailable


async def test_a_late_search_is_away_where_nothing_is_answered(
    temporal_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(**given: object) -> bool:
        raise failed(RPCStatusCode.DEADLINE_EXCEEDED)

    monkeypatch.setattr(temporal_client.service_client, "check_health", silent)
    with pytest.raises(TemporalUnavailable) as raised:
        await search(temporal_client, failed(RPCStatusCode.DEADLINE_EXCEEDED))
    assert type(raised.value) is TemporalUnavailable
