"""A worker that is stopped hands on what it has: nothing waits for it, and nothing fails because of it."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from temporalio.client import Client

from orchestration.activities.parents import ParentActivities
from orchestration.contracts.status import Status
from orchestration.gateway import Gateway
from orchestration.temporal.connection import Connection, connect_with_retries
from orchestration.temporal.runtime import runtime
from orchestration.temporal.stopping import OVERDUE
from orchestration.worker import run_worker
from tests.support.engine import Engine, make_namespace
from tests.support.probe import Probe
from tests.support.stack import TemporalServer

PATIENCE = 120

LONG = timedelta(hours=1)
SHORT = timedelta(seconds=0.1)

PROGRAM = """
import asyncio, sys, threading, time
from orchestration.temporal.stopping import Stopping

async def main(grace, held):
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    Stopping(lambda number, frame: loop.call_soon_threadsafe(stop.set), grace).take_signals()
    print("ready", flush=True)
    await stop.wait()
    print("asked", flush=True)
    if held:
        time.sleep(3600)

asyncio.run(main(float(sys.argv[1]), bool(int(sys.argv[2]))))
"""


@pytest.fixture
async def engine(temporal_server: TemporalServer, temporal_client: Client) -> Engine:
    """A namespace without any worker."""
    connection = Connection(temporal_server.address, f"worker-{secrets.token_hex(4)}")
    await make_namespace(temporal_client, connection.namespace)
    return Engine(await connect_with_retries(connection, runtime=runtime()), Gateway(connection))


@asynccontextmanager
async def working(engine: Engine, grace: timedelta) -> AsyncIterator[tuple[asyncio.Event, asyncio.Task[None]]]:
    """Run a worker; yield what stops it, and what ends with it."""
    connection = Connection(engine.client.service_client.config.target_host, engine.client.namespace)
    stop = asyncio.Event()
    task = asyncio.create_task(run_worker(connection, ParentActivities(engine.store), stop, grace=grace))
    try:
        yield stop, task
    finally:
        stop.set()
        await asyncio.wait([task], timeout=PATIENCE)


async def test_a_stopped_worker_finishes_the_items_at_work_and_another_does_the_rest(engine: Engine) -> None:
    probe = Probe()
    probe.gate.clear()
    async with working(engine, LONG) as (stop, ended), engine.listener():
        run = await engine.launch(8, probe, chunk_size=8, item_concurrency=2)
        await run.calls(2)
        async with working(engine, SHORT):
            stop.set()
            await asyncio.sleep(0)
            probe.gate.set()
            async with asyncio.timeout(PATIENCE):
                await ended
                assert (await run.result()).counts.completed == 1
    assert {*probe.calls.values()} == {1}


@pytest.mark.parametrize("plan", [{"chunk_size": 2}, {"chunk_size": 2, "execution": "activities"}], ids=str)
async def test_an_item_that_a_stopped_worker_could_not_finish_is_done_by_another(
    engine: Engine, plan: dict[str, object]
) -> None:
    probe = Probe()
    probe.hold_once = {"0"}
    async with working(engine, SHORT) as (stop, ended), engine.listener():
        run = await engine.launch(2, probe, item_attempts=1, **plan)
        await run.calls(1)
        stop.set()
        async with asyncio.timeout(PATIENCE):
            await ended
        probe.released.set()
        async with working(engine, SHORT), asyncio.timeout(PATIENCE):
            assert (await run.result()).counts.completed == 1
    assert probe.calls["0"] == 2


async def test_a_step_that_a_stopped_worker_could_not_finish_is_done_by_another(engine: Engine) -> None:
    probe = Probe()
    probe.hold_once = {"one"}
    run_it = {"processor": "probe", "parameters": {"probe": probe.name}, "input": {"value": "x"}}
    async with working(engine, SHORT) as (stop, ended), engine.listener():
        run = await engine.flow({"kind": "steps", "steps": [{"name": "one", "run": run_it}]}, probe, item_attempts=1)
        await run.calls(1)
        stop.set()
        async with asyncio.timeout(PATIENCE):
            await ended
        probe.released.set()
        async with working(engine, SHORT), asyncio.timeout(PATIENCE):
            await run.result()
    assert probe.calls["one"] == 2
    assert {event.outcome for event in run.events() if event.outcome} == {Status.COMPLETED}


async def test_a_worker_that_waits_for_temporal_stops_at_once(engine: Engine) -> None:
    stop = asyncio.Event()
    stop.set()
    async with asyncio.timeout(PATIENCE):
        await run_worker(Connection("127.0.0.1:1"), ParentActivities(engine.store), stop, grace=LONG)


def _program(grace: float, *, held: bool) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, str(grace), str(int(held))]
    program = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ)
    assert program.stdout is not None
    assert program.stdout.readline() == "ready\n"
    return program


def test_a_process_that_does_not_stop_ends_after_its_grace_and_a_moment() -> None:
    program = _program(0.1, held=True)
    program.send_signal(signal.SIGTERM)
    said, _ = program.communicate(timeout=PATIENCE)
    assert program.returncode == OVERDUE
    assert "the process ends" in said


def test_a_second_signal_ends_a_process_at_once_and_the_echo_of_the_first_does_not() -> None:
    program = _program(3_600, held=False)
    program.send_signal(signal.SIGINT)
    program.send_signal(signal.SIGTERM)
    program.communicate(timeout=PATIENCE)
    assert program.returncode == 0
    held = _program(3_600, held=True)
    assert held.stdout is not None
    held.send_signal(signal.SIGTERM)
    assert held.stdout.readline() == "asked\n"
    while held.poll() is None:
        held.send_signal(signal.SIGINT)
        try:
            held.wait(1)
        except subprocess.TimeoutExpired:
            continue
    assert held.returncode == 128 + signal.SIGINT
    held.stdout.close()
