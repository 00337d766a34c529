"""Updates of one workflow queue, and wait while it takes no further one."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from temporalio.service import RPCError, RPCStatusCode

from orchestration.client import places
from orchestration.client.places import PLACES, when_there_is_a_place

FULL = "limit on number of concurrent in-flight updates has been reached (10)"


async def test_no_more_updates_of_one_workflow_are_sent_at_a_time_than_it_has_places_for_this_process() -> None:
    sent, most = set[int](), list[int]()

    async def update(number: int) -> int:
        sent.add(number)
        most.append(len(sent))
        await asyncio.sleep(0)
        sent.discard(number)
        return number

    of_one = [when_there_is_a_place("one", partial(update, number)) for number in range(50)]
    assert await asyncio.gather(*of_one) == [*range(50)]
    assert max(most) == PLACES


@pytest.mark.parametrize(
    ("status", "message"),
    [(RPCStatusCode.RESOURCE_EXHAUSTED, FULL), (RPCStatusCode.UNAVAILABLE, "workflow update was aborted")],
)
async def test_an_update_that_finds_no_place_is_sent_again(
    status: RPCStatusCode, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "PAUSES", (0, 0))
    errors = [RPCError(message, status, b"")] * 3

    async def update() -> str:
        if errors:
            raise errors.pop()
        return "done"

    assert await when_there_is_a_place("one", update) == "done"


async def test_an_update_is_given_up_where_there_is_no_place_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "WAIT", 0.01)
    answered = asyncio.Event()

    async def update() -> None:
        await answered.wait()

    waiting = [asyncio.create_task(when_there_is_a_place("one", update)) for _ in range(PLACES)]
    await asyncio.sleep(0)
    with pytest.raises(RPCError, match="have not been answered") as error:
        await when_there_is_a_place("one", update)
    assert error.value.status is RPCStatusCode.RESOURCE_EXHAUSTED
    answered.set()
    await asyncio.gather(*waiting)


async def test_another_error_is_raised_at_once() -> None:
    async def update() -> None:
        raise RPCError("limit on the rate", RPCStatusCode.RESOURCE_EXHAUSTED, b"")

    with pytest.raises(RPCError, match="limit on the rate"):
        await when_there_is_a_place("one", update)
