"""ResultWriter: what is handed in is written in groups, none lost, and a writer hears of the store's error."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence

import pytest

from orchestration.activities import result_writer, store_calls
from orchestration.activities.result_writer import RESULTS_PER_WRITE, ResultWriter
from orchestration.contracts.chunks import ItemResult
from orchestration.contracts.stores import StoreAway


def result(index: int) -> ItemResult:
    return ItemResult("b1", 0, "r1", index, attempts=1, duration=0.0, result=None, failure=None)


async def test_results_that_come_about_together_share_a_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_writer, "SPACING", 2.0)
    written = list[list[int]]()
    writer = ResultWriter(lambda results: written.append([each.index for each in results]))
    await writer.put(result(0))
    early = writer.put(result(1))
    await asyncio.sleep(0.01)
    await asyncio.gather(early, writer.put(result(2)))
    writer.close()
    assert written == [[0], [1, 2]]


async def test_a_full_group_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_writer, "SPACING", 3_600.0)
    written = list[int]()
    writer = ResultWriter(lambda results: written.append(len(results)))
    await asyncio.gather(*(writer.put(result(index)) for index in range(3 * RESULTS_PER_WRITE)))
    writer.close()
    assert written == [RESULTS_PER_WRITE] * 3


async def test_every_writer_of_a_group_hears_of_the_stores_error() -> None:
    def write(results: Sequence[ItemResult]) -> None:
        raise OSError("the disk is full")

    writer = ResultWriter(write)
    futures = [writer.put(result(index)) for index in range(3)]
    for future in futures:
        with pytest.raises(OSError, match="the disk is full"):
            await future
    writer.close()


async def test_results_wait_for_a_store_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_calls, "PAUSES", (0.001,))
    tries, written = itertools.count(), list[int]()

    def write(results: Sequence[ItemResult]) -> None:
        if next(tries) < 20:
            raise StoreAway("503")
        written.extend(each.index for each in results)

    writer = ResultWriter(write)
    await asyncio.gather(writer.put(result(0)), writer.put(result(1)))
    writer.close()
    assert written == [0, 1]
