"""Diagnosis: each fault is made for real in a namespace of its own, and is found, named and advised on."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from orchestration.activities.parents import ParentActivities
from orchestration.contracts.chunks import ChunkInput, InlineChunk
from orchestration.contracts.events import NotifyInput
from orchestration.contracts.fan_out import FanOutInput
from orchestration.contracts.names import BEGIN_CHUNK_ACTIVITY, PROCESS_CHUNK_ACTIVITY
from orchestration.contracts.workflow_ids import child_id, partition_id, root_id
from orchestration.diagnosis import queue_checks
from orchestration.diagnosis.findings import Finding, FindingCode, Severity
from orchestration.gateway import Gateway
from orchestration.plan.layout import Layout
from orchestration.plan.plan import Plan
from orchestration.temporal.connection import Connection, TemporalUnavailable, connect_with_retries
from orchestration.temporal.runtime import runtime
from orchestration.worker import WORKFLOWS
from tests.support.engine import Engine, Run, make_namespace
from tests.support.probe import Probe
from tests.support.stack import TemporalServer
from tests.support.waiting import until

NOTIFY = "notify"


@workflow.defn(name="FanOutWorkflow")
class Broken:
    """A parent with a fault in its code."""

    @workflow.run
    async def run(self, given: dict[str, Any]) -> None:
        """Raise what fails the workflow task, not the workflow."""
        raise KeyError("a fault in the code")


@workflow.defn(name="Unrelated")
class Unrelated:
    """What another program on the same queue runs."""

    @workflow.run
    async def run(self) -> None:
        """Wait for nothing."""
        await workflow.wait_condition(lambda: False)


@pytest.fixture
async def engine(temporal_server: TemporalServer, temporal_client: Client) -> Engine:
    """A namespace without any worker; workers of a test heartbeat as the product's do."""
    connection = Connection(temporal_server.address, f"diagnosis-{secrets.token_hex(4)}")
    await make_namespace(temporal_client, connection.namespace)
    return Engine(await connect_with_retries(connection, runtime=runtime()), Gateway(connection))


@activity.defn(name=BEGIN_CHUNK_ACTIVITY)
async def begin_nothing(chunk: ChunkInput) -> InlineChunk:
    """Leave all to process_chunk."""
    return InlineChunk()


@asynccontextmanager
async def worker(
    engine: Engine, *, workflows: Sequence[type] = WORKFLOWS, activities: Sequence[Any] | None = None, places: int = 50
) -> AsyncIterator[None]:
    """Run a worker on the children's queue, by default a whole one."""
    chunks = ParentActivities(engine.store)
    async with Worker(
        engine.client,
        task_queue="canopy",
        workflows=workflows,
        activities=[chunks.begin_chunk, chunks.process_chunk] if activities is None else [begin_nothing, *activities],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_concurrent_activities=places,
    ):
        yield
    chunks.close()


async def found(engine: Engine, run: Run, code: FindingCode, node: str = "") -> Finding:
    """Wait until a diagnosis has a finding, and return it."""
    last: list[Finding] = []

    async def has_it() -> Finding | None:
        last[:] = await engine.gateway.diagnose(run.id, node)
        return next((finding for finding in last if finding.code is code), None)

    try:
        finding = await until(has_it, f"{code} is found", 120)
    except AssertionError as error:
        raise AssertionError(f"{error}; found {last}") from None
    assert finding is not None
    assert finding.advice
    return finding


def held() -> Probe:
    """Return a probe that holds its items."""
    probe = Probe()
    probe.gate.clear()
    return probe


async def test_a_queue_that_nobody_polls(engine: Engine) -> None:
    launched_at = datetime.now(UTC)
    run = await engine.launch(2)
    finding = await found(engine, run, FindingCode.NO_WORKER)
    assert (finding.subject, finding.severity) == ("canopy", Severity.PROBLEM)
    assert "canopy worker --queue canopy" in finding.advice
    assert finding.since is not None
    assert launched_at <= finding.since + timedelta(seconds=1)
    async with worker(engine), engine.listener():
        elsewhere = await engine.launch(1, task_queue="nobody-is-here")
        finding = await found(engine, elsewhere, FindingCode.NO_WORKER)
        assert finding.subject == "nobody-is-here"
        assert "activities" in finding.what
        child = child_id(elsewhere.id, 0, None)
        assert (await found(engine, elsewhere, FindingCode.NO_WORKER, child)).subject == "nobody-is-here"
        await run.result()
        assert [each.code for each in await engine.gateway.diagnose(run.id)] == [FindingCode.CLOSED]


async def test_a_worker_that_was_stopped_counts_as_nobody(engine: Engine) -> None:
    async with worker(engine), engine.listener():
        await (await engine.launch(1)).result()
    run = await engine.launch(1)
    assert (await found(engine, run, FindingCode.NO_WORKER)).subject == "canopy"


async def test_types_that_the_worker_does_not_know(engine: Engine) -> None:
    run = await engine.launch(1)
    async with worker(engine, workflows=[Unrelated]):
        finding = await found(engine, run, FindingCode.NOT_REGISTERED)
    assert "workflow type FanOutWorkflow" in finding.what
    assert "available workflows: Unrelated" in finding.detail

    @activity.defn
    async def unrelated() -> None:
        """Do nothing."""

    async with worker(engine, activities=[unrelated]), engine.listener():
        run = await engine.launch(1)
        finding = await found(engine, run, FindingCode.NOT_REGISTERED)
    assert "activity process_chunk" in finding.what
    assert finding.subject == child_id(run.id, 0, None)
    assert "available activities: begin_chunk, unrelated" in finding.detail


async def test_a_workflow_task_that_fails_again_and_again(engine: Engine) -> None:
    run = await engine.launch(1)
    async with worker(engine, workflows=[Broken]):
        finding = await found(engine, run, FindingCode.WORKFLOW_TASK_FAILS)
    assert finding.subject == root_id(run.id)
    assert "a fault in the code" in finding.detail
    assert finding.since is not None


async def test_an_activity_that_is_retried_says_its_error_and_its_next_try(engine: Engine) -> None:
    @activity.defn(name=PROCESS_CHUNK_ACTIVITY)
    async def failing(chunk: ChunkInput) -> None:
        """Fail as a store does that has gone away."""
        raise ConnectionError("the database is away")

    async with worker(engine, activities=[failing]), engine.listener():
        run = await engine.launch(3)
        finding = await found(engine, run, FindingCode.ACTIVITY_RETRIES)
        assert finding.severity is Severity.WARNING
        assert finding.detail == "ConnectionError: the database is away"
        assert "of 10" in finding.what

        async def says(words: str) -> bool:
            return words in (await found(engine, run, FindingCode.ACTIVITY_RETRIES)).what

        await until(lambda: says("2 others are affected, too"), "all three children are told of at once")
        await until(lambda: says(" starts at "), "the time of the next try is told")


async def test_an_activity_without_heartbeat(engine: Engine) -> None:
    @activity.defn(name=PROCESS_CHUNK_ACTIVITY)
    async def hanging(chunk: ChunkInput) -> None:
        """Hang."""
        await held().gate.wait()

    async with worker(engine, activities=[hanging]), engine.listener():
        run = await engine.launch(1)
        finding = await found(engine, run, FindingCode.HEARTBEAT_MISSING, child_id(run.id, 0, None))
        assert "hangs" in finding.what
        assert finding.since is not None
        await engine.gateway.terminate(root_id(run.id), "test")


async def test_a_full_window_a_pause_and_children_at_work_are_no_faults(engine: Engine) -> None:
    async with worker(engine), engine.listener():
        run = await engine.launch(5, probe := held(), window=2)
        await run.calls(2)
        finding = await found(engine, run, FindingCode.WINDOW_FULL)
        assert finding.severity is Severity.INFO
        assert finding.what.startswith("No problem found. Max concurrency is reached: 2 of 2 running, 3 pending.")
        assert finding.since is not None
        await engine.gateway.pause(run.id)
        finding = await found(engine, run, FindingCode.PAUSED)
        assert "2 running children continue" in finding.what
        await engine.gateway.resume(run.id)
        await engine.gateway.set_window(run.id, 10)
        await run.calls(5)
        finding = await found(engine, run, FindingCode.CHILDREN_OPEN)
        assert "5 children are still running" in finding.what
        assert len(await engine.gateway.diagnose(run.id)) == 1
        probe.gate.set()
        await run.result()


@pytest.mark.usefixtures("small_partitions")
async def test_partitions_are_looked_into(engine: Engine) -> None:
    async with worker(engine), engine.listener():
        run = await engine.launch(12, probe := held(), window=2)
        await run.calls(2)
        finding = await found(engine, run, FindingCode.WINDOW_FULL)
        assert "2 of 2 running" in finding.what
        assert (await found(engine, run, FindingCode.WINDOW_FULL, partition_id(run.id, 0))).subject.endswith("/p0")
        probe.gate.set()
        await run.result()


async def test_a_worker_without_a_free_place_or_memory(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    async with worker(engine, places=1), engine.listener():
        run = await engine.launch(3, probe := held())
        finding = await found(engine, run, FindingCode.SLOTS_FULL)
        assert finding.subject == "canopy"
        assert "slot for activities: 1 in use" in finding.what
        monkeypatch.setattr(queue_checks, "MEMORY_SHORT", 0.001)
        finding = await found(engine, run, FindingCode.MEMORY_SHORT)
        assert "% is used" in finding.what
        probe.gate.set()
        await run.result()


async def test_an_id_that_is_taken(engine: Engine) -> None:
    batch_id, plan = "0123456789ab", Plan()
    await engine.client.start_workflow("Unrelated", id=child_id(batch_id, 0, None), task_queue="elsewhere")
    async with worker(engine), engine.listener():
        given = FanOutInput(batch_id, plan, 1, 0, Layout.of(plan, 1).children)
        await engine.gateway.start(given)
        finding = await found(engine, Run(engine, given, Probe()), FindingCode.ID_TAKEN)
        assert finding.subject == child_id(batch_id, 0, None)
        await engine.gateway.terminate(root_id(batch_id), "test")


async def test_a_dashboard_that_is_not_reached(engine: Engine) -> None:
    @activity.defn(name=NOTIFY)
    async def refuse(news: NotifyInput) -> None:
        """Fail as a dashboard does whose database is locked."""
        raise OSError("database is locked")

    async with worker(engine):
        run = await engine.launch(1, probe := held())
        assert (await found(engine, run, FindingCode.NO_WORKER)).subject == "canopy-dashboard"
        async with Worker(engine.client, task_queue="canopy-dashboard", activities=[refuse]):
            finding = await found(engine, run, FindingCode.NOTIFY_FAILS)
            assert finding.severity is Severity.WARNING

            async def says_why() -> bool:
                return "database is locked" in (await found(engine, run, FindingCode.NOTIFY_FAILS)).detail

            await until(says_why, "the error is told")
        probe.gate.set()
        await engine.gateway.terminate(root_id(run.id), "test")


async def test_what_is_unknown_and_what_cannot_be_asked(engine: Engine) -> None:
    assert [each.code for each in await engine.gateway.diagnose("000000000000")] == [FindingCode.NOT_STARTED]
    with pytest.raises(TemporalUnavailable):
        await Gateway(Connection("127.0.0.1:1")).diagnose("000000000000")
