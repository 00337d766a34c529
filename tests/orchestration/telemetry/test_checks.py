"""Checks of neighbours: all at once, each within its bound, none of them twice at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from orchestration.telemetry.checks import NO_ANSWER, Check, Failed, answer, find_all
from tests.support.waiting import until


class Frozen:
    """Does not answer until it is let go."""

    def __init__(self) -> None:
        self.asked, self.go_on = 0, asyncio.Event()

    async def __call__(self) -> None:
        self.asked += 1
        await self.go_on.wait()


async def well() -> Mapping[str, Any]:
    return {"queues": ["canopy"]}


async def told() -> None:
    raise Failed("It is not migrated.", missing=3)


async def broken() -> None:
    raise ConnectionRefusedError("db.internal:5432")


async def test_what_each_neighbour_says_is_one_answer_that_names_what_fails() -> None:
    checks = [
        Check("temporal", well, "-"),
        Check("migrations", told, "-"),
        Check("database", broken, "Can't reach it."),
    ]
    status, body = answer(await find_all(checks))
    assert status == 503
    assert body == {
        "status": "unavailable",
        "failing": ["migrations", "database"],
        "temporal": {"ok": True, "error": "", "queues": ["canopy"]},
        "migrations": {"ok": False, "error": "It is not migrated.", "missing": 3},
        "database": {"ok": False, "error": "Can't reach it."},
    }
    assert answer(await find_all(checks[:1])) == (
        200,
        {"status": "ok", "temporal": {"ok": True, "error": "", "queues": ["canopy"]}},
    )


async def test_frozen_neighbours_are_asked_once_and_cost_their_bound() -> None:
    one, other = Frozen(), Frozen()
    checks = [Check("one", one, "-", {"age": None}), Check("other", other, "-")]
    found = await find_all(checks)
    assert (found["one"].ok, found["other"].ok) == (False, False)
    assert found["one"].as_json() == {"ok": False, "error": NO_ANSWER, "age": None}
    await find_all(checks)
    assert (one.asked, other.asked) == (1, 1)
    one.go_on.set()
    other.go_on.set()

    async def are_well() -> bool:
        return all(each.ok for each in (await find_all(checks)).values())

    await until(are_well, "both answer again")


async def test_neighbours_are_asked_at_the_same_time() -> None:
    """Each answers only once both have been asked."""
    both = asyncio.Barrier(2)

    async def together() -> None:
        await both.wait()

    checks = [Check("one", together, "-"), Check("other", together, "-")]
    assert [each.ok for each in (await find_all(checks)).values()] == [True, True]
