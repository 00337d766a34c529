"""The channel layer of several web processes: nobody waits for a Redis that is away, and it is back by itself."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from dashboard.live import redis_layer
from dashboard.live.redis_layer import RedisLayer
from tests.support.servers import redis
from tests.support.waiting import until

BELL = {"type": "batch.changed", "bell": "1"}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
async def layer(address: str) -> AsyncIterator[Callable[[], RedisLayer]]:
    """Return a function that makes the layer of one process."""
    made = list[RedisLayer]()

    def make(url: str = address) -> RedisLayer:
        made.append(RedisLayer(url))
        return made[-1]

    yield make
    for each in made:
        await each.close()


async def joined(layer: RedisLayer, group: str = "batches") -> Callable[[], Awaitable[object]]:
    """Join a group, and return what receives its next message."""
    channel = await layer.new_channel()
    await layer.group_add(group, channel)
    return lambda: layer.receive(channel)


async def hears(sender: RedisLayer, receive: Callable[[], Awaitable[object]]) -> None:
    """Send until it is received: a process that has just begun to listen may miss the first ones."""

    async def sent_and_received() -> bool:
        await sender.group_send("batches", BELL)
        try:
            async with asyncio.timeout(0.5):
                return await receive() == BELL
        except TimeoutError:
            return False

    await until(sent_and_received, "the other process hears it")


@pytest.fixture
def frozen(address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bool], None]]:
    """Return a function that freezes Redis, or lets it go on."""
    monkeypatch.setattr(redis_layer, "PROBE_EVERY", 0.2)
    monkeypatch.setattr(redis_layer, "TRY_AGAIN_AFTER", 0.1)
    with Redis.from_url(address) as client:
        pid = client.info("server")["process_id"]
    yield lambda is_frozen: os.kill(pid, signal.SIGSTOP if is_frozen else signal.SIGCONT)
    os.kill(pid, signal.SIGCONT)


async def test_processes_hear_each_other_and_themselves_once(layer: Callable[[], RedisLayer]) -> None:
    one, two = layer(), layer()
    own, others = await joined(one), await joined(two)
    await hears(two, own)
    await hears(one, others)
    own = await joined(one, "alone")
    await one.group_send("alone", BELL)
    assert await own() == BELL
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await own()


async def test_nobody_waits_for_a_frozen_redis_and_it_is_back_by_itself(
    layer: Callable[[], RedisLayer], frozen: Callable[[bool], None]
) -> None:
    one, two = layer(), layer()
    own, others = await joined(one), await joined(two)
    await hears(one, others)
    await hears(two, own)
    frozen(True)

    async def notices() -> bool:
        return one.away_since is not None and two.away_since is not None

    await until(notices, "both notice it")
    late = layer()
    async with asyncio.timeout(20):
        joined_late = await joined(late)
        for each in (one, late):
            await each.group_send("batches", BELL)
        assert (await own(), await joined_late()) == (BELL, BELL)
    frozen(False)

    async def is_back() -> bool:
        return one.away_since is None and two.away_since is None and late.away_since is None

    await until(is_back, "all notice that it is back")
    await hears(one, others)
    await hears(late, others)


async def test_a_redis_that_is_not_there_costs_a_new_viewer_nothing(
    layer: Callable[..., RedisLayer], tmp_path: Path
) -> None:
    for url in ("redis://127.0.0.1:1", "redis://nowhere.invalid", f"unix://{tmp_path}/none.sock"):
        alone = layer(url)
        async with asyncio.timeout(20):
            receive = await joined(alone)
            await alone.group_send("batches", BELL)
            assert await receive() == BELL

        async def notices(alone: RedisLayer = alone) -> bool:
            return alone.away_since is not None

        await until(notices, "it notices")
