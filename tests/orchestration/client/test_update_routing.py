"""Requests for children at the limits that Temporal has: 10 updates in flight, and a number of them in a run."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from orchestration.client import update_routing
from orchestration.contracts.messages import ChildrenRequest
from orchestration.contracts.names import RETRY_UPDATE
from orchestration.contracts.status import Status
from tests.support.engine import Engine, Run, failed
from tests.support.probe import Probe
from tests.support.stack import UPDATES_OF_A_RUN
from tests.support.waiting import until

HELD: Mapping[str, Any] = {"hold_at_end": True, "hold_timeout": 3_600}


async def held(engine: Engine, items: int) -> Run:
    """Return a batch that is held since all of its children have failed, and would complete if tried again."""
    probe = Probe()
    probe.fail = {str(item) for item in range(items)}
    run = await engine.launch(items, probe, **HELD)

    async def is_held() -> bool:
        return bool((await engine.gateway.progress(run.id)).held)

    await until(is_held, "the batch is held")
    probe.fail = set()
    return run


async def test_fifty_operators_who_retry_one_child_each_at_the_same_moment_all_succeed(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for timeout in ("RPC_TIMEOUT", "UPDATE_TIMEOUT"):
        monkeypatch.setattr(update_routing, timeout, timedelta(minutes=1))  # the machine may be slow
    run = await held(engine, 50)
    answers = await asyncio.gather(*(run.retry([child]) for child in range(50)))
    assert sorted(child for answer in answers for child in answer.accepted) == [*range(50)]
    await run.result()
    assert {run.probe.calls[str(child)] for child in range(50)} == {2}


async def test_a_run_that_takes_no_further_update_is_asked_by_signal_and_answers_each_once(engine: Engine) -> None:
    run = await held(engine, 4)
    for number in range(UPDATES_OF_A_RUN):
        await run.root.execute_update(RETRY_UPDATE, ChildrenRequest([]), id=f"used-up-{number}")
    skipped = await run.skip([0])
    assert (skipped.accepted, skipped.refused) == ([0], {})
    first, again = await asyncio.gather(run.retry([1, 2], "same"), run.retry([1, 2], "same"))
    assert (first.accepted, first.refused) == ([1, 2], {})
    assert again == first
    late = await run.retry([3])
    assert late.accepted == [3]
    result = await run.result()
    assert (result.counts.completed, failed(Status.SKIPPED, result)) == (3, [0])
    assert [run.probe.calls[str(child)] for child in range(4)] == [1, 2, 2, 2]


async def test_a_request_by_signal_that_names_no_child_of_the_parent_is_refused(engine: Engine) -> None:
    run = await held(engine, 2)
    for number in range(UPDATES_OF_A_RUN):
        await run.root.execute_update(RETRY_UPDATE, ChildrenRequest([]), id=f"used-up-{number}")
    answer = await run.retry([7])
    assert answer.refused == {7: "No such child: 7."}
    await engine.gateway.terminate(f"batch-{run.id}", "The test is over.")
