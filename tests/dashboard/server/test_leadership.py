"""One process at a time has a lease, and writes nothing once another one has it."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta

import pytest
from django.db.models.functions import Now

from dashboard.database.fencing import Replaced, fence, fenced
from dashboard.models import CommonValue, Lease
from dashboard.server import leadership
from dashboard.server.leadership import give_back, is_gone, lead, process_name, renew, take
from tests.support.waiting import until

pytestmark = pytest.mark.django_db


def _run_out() -> None:
    Lease.objects.update(expires_at=Now() - timedelta(milliseconds=1))


def test_a_lease_is_had_by_one_until_it_runs_out_or_is_given_back() -> None:
    first = take("x", "elsewhere 1 1 a")
    assert first is not None
    assert take("x", "elsewhere 2 1 b") is None
    _run_out()
    assert renew(first)
    assert take("x", "elsewhere 2 1 b") is None
    _run_out()
    second = take("x", "elsewhere 2 1 b")
    assert second is not None
    assert second.number == first.number + 1
    assert not renew(first)
    give_back(first)
    assert take("x", "elsewhere 1 1 a") is None
    give_back(second)
    assert take("x", "elsewhere 1 1 a") is not None


def test_a_clock_that_was_set_back_keeps_nobody_out() -> None:
    take("x", "elsewhere 1 1 a")
    Lease.objects.update(expires_at=Now() + timedelta(hours=1))
    assert take("x", "elsewhere 2 1 b") is not None


def test_the_lease_of_a_process_of_this_machine_that_has_ended_is_free_at_once() -> None:
    mine = process_name()
    assert not is_gone(mine)
    assert take("x", mine) is not None
    assert take("x", process_name()) is None
    machine, _, begun, *rest = mine.split(" ")
    ended = " ".join([machine, str(os.getpid()), str(int(begun) - 1), *rest])
    assert is_gone(ended)
    Lease.objects.update(holder=ended)
    assert take("x", mine) is not None


def test_what_a_replaced_process_writes_is_rolled_back() -> None:
    grant = take("x", "elsewhere 1 1 a")
    assert grant is not None
    write = fenced(CommonValue.objects.create)
    token = fence.set(grant.confirm)
    try:
        write(name="before", value="")
        _run_out()
        take("x", "elsewhere 2 1 b")
        with pytest.raises(Replaced):
            write(name="after", value="")
    finally:
        fence.reset(token)
    write(name="not led", value="")
    assert {*CommonValue.objects.values_list("name", flat=True)} == {"before", "not led"}


def test_another_process_takes_over_within_ten_seconds() -> None:
    slack_for_the_database = 2
    assert leadership.LASTS.total_seconds() + leadership.TRY_EVERY + slack_for_the_database <= 10
    assert leadership.LASTS.total_seconds() > 3 * leadership.RENEW_EVERY


@pytest.mark.django_db(transaction=True)
async def test_loops_run_while_the_lease_is_had_and_end_when_it_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leadership, "RENEW_EVERY", 0.01)
    monkeypatch.setattr(leadership, "TRY_EVERY", 0.01)
    running = set[int]()

    async def loop() -> None:
        me = id(asyncio.current_task())
        running.add(me)
        try:
            await asyncio.Event().wait()
        finally:
            running.discard(me)

    async def runs(number: int) -> None:
        async def so_many_run() -> bool:
            return len(running) == number

        await until(so_many_run, f"{number} loops run")

    leading = asyncio.create_task(lead("x", [loop, loop]))
    try:
        await runs(2)
        lease = await Lease.objects.aget()
        await Lease.objects.aupdate(holder="elsewhere 2 1 b", fence=lease.fence + 1)
        await runs(0)
        await Lease.objects.aupdate(expires_at=None)
        await runs(2)
    finally:
        leading.cancel()
        await asyncio.gather(leading, return_exceptions=True)
    assert not running
    assert (await Lease.objects.aget()).expires_at is None
