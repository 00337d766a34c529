"""Records a history of each parent, for test_histories to replay: `python -m tests.support.record_histories RELEASE`.

Run it when a release changes what a workflow does, into a folder of that release. Recorded files are never changed.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from temporalio.worker import Worker

import tests.support.environment  # noqa: F401  before anything reads settings
from orchestration.contracts.workflow_ids import child_id, entity_id, partition_id, pool_worker_id, stage_id
from orchestration.temporal.connection import Connection, connect_with_retries
from tests.support.bulk import much
from tests.support.engine import Engine, Run, running_engine, scheduled_activities
from tests.support.external_sample import QUEUE, ProcessOrder, pack
from tests.support.flows import fan_out_step, retry_children, saga, services, stock_worker
from tests.support.flows import steps as steps_of
from tests.support.parents import failing
from tests.support.probe import Probe
from tests.support.stack import TemporalServer
from tests.support.waiting import until

HISTORIES = Path(__file__).parent.parent / "orchestration" / "histories"
TOLERATE = {"failure_policy": "tolerate", "tolerated_failures": 1, "window": 1}

Scene = Callable[[Engine], Awaitable[Run]]


def plain(items: int, *fail: int, **plan: Any) -> Scene:
    """Return a scene of a batch that needs no steering."""

    async def play(engine: Engine) -> Run:
        return await engine.launch(items, failing(*fail), **plan)

    return play


async def held(engine: Engine) -> Run:
    """Hold, retry, hold again, skip."""
    probe = failing(0, 1)
    run = await engine.launch(4, probe, hold_at_end=True)

    async def is_held() -> bool:
        return bool((await engine.gateway.progress(run.id)).held)

    await until(is_held, "held")
    probe.fail = {"1"}
    await run.retry([0, 1])
    await until(is_held, "held again")
    await engine.gateway.skip(run.id)
    return run


async def steered(engine: Engine) -> Run:
    """Approve, pause, resume, change the window, retry a child below an open root."""
    probe = failing(0)
    run = await engine.launch(6, probe, approval=True, window=2)
    await engine.gateway.decide(run.id, approved=True, person="ada")
    await run.calls(1)
    probe.gate.clear()
    await engine.gateway.pause(run.id)
    await engine.gateway.set_window(run.id, 3)
    probe.fail.clear()
    probe.gate.set()
    await engine.gateway.resume(run.id)
    return run


async def failed_saga(engine: Engine) -> Run:
    """Fail at the last step, and compensate the steps before."""
    probe = Probe()
    probe.fail = {"ship"}
    return await engine.flow(saga(probe), probe)


async def late_service(engine: Engine) -> Run:
    """Time out one of two services."""
    async with stock_worker(engine):
        run = await engine.flow(services(Probe(), answers=False))
        await run.closed_event()
    return run


async def steps(engine: Engine) -> Run:
    """Loop once around an activity."""
    work = {"processor": "probe", "parameters": {"probe": Probe().name}}
    loop = {
        "until": {"ref": "again.calls", "op": ">=", "value": 2},
        "max": 3,
        "steps": [{"name": "again", "run": work}],
    }
    return await engine.flow(
        {"kind": "steps", "steps": [{"name": "first", "run": work}, {"name": "more", "loop": loop}]}
    )


async def fan_outs(engine: Engine) -> Run:
    """Fan out twice at the same time and twice more in a loop, and fail."""
    probe = Probe()
    probe.fail = {"1", "last"}
    both = {"name": "both", "parallel": [fan_out_step("one", ["a", "b"]), fan_out_step("other", ["c"])]}
    loop = {"max": 2, "until": {"ref": "again.failed", "op": "==", "value": 1}, "steps": [fan_out_step("again", ["d"])]}
    last = {"name": "last", "run": {"processor": "probe", "parameters": {"probe": probe.name}}}
    return await engine.flow({"kind": "steps", "steps": [both, {"name": "twice", "loop": loop}, last]}, probe)


async def resumed(engine: Engine) -> Run:
    """Resume after that, by retrying a child that had failed."""
    run = await fan_outs(engine)
    await engine.gateway.wait_closed(run.id)
    run.probe.fail = set()
    await retry_children(engine, run, 1)
    return run


async def stored_results(engine: Engine) -> Run:
    """Keep a large result, and use it in a step, a condition and a fan-out."""
    probe = Probe()
    whole = {"processor": "probe", "parameters": {"probe": probe.name}, "input": {"whole": {"ref": "get"}}}
    check = {
        "name": "check",
        "if": {"ref": "get.number", "op": "==", "value": 7},
        "then": [{"name": "use", "run": whole}],
    }
    return await engine.flow(
        steps_of(much("get", 10_000, 2), check, fan_out_step("each", {"ref": "get.entries"})), probe
    )


async def pipeline(engine: Engine) -> Run:
    """Pass two of three items on to a second stage."""
    probe = Probe()
    probe.fail = {"1"}
    stage = {"processor": "probe", "plan": {"item_attempts": 1}}
    return await engine.flow(
        {"kind": "pipeline", "stages": [{"name": "first", **stage}, {"name": "second", **stage}]}, probe, items=3
    )


async def item_sagas(engine: Engine) -> Run:
    """Compensate one of two items."""
    probe = Probe()
    probe.saga = saga(probe) | {"fan_out": True}
    probe.fail = {"charge 1"}
    return await engine.launch(2, probe)


async def delegates(engine: Engine) -> Run:
    """Delegate an item to a workflow that fails twice."""
    probe = Probe()
    order = '{"name": "books", "needs": "/never"}'
    probe.delegate = {"workflow_type": "ProcessOrder", "task_queue": QUEUE, "argument": order}
    async with Worker(engine.client, task_queue=QUEUE, workflows=[ProcessOrder], activities=[pack]):
        run = await engine.launch(1, probe, item_attempts=2, item_backoff=0)
        await engine.gateway.wait_closed(run.id)
    return run


async def inline_chunks(engine: Engine) -> Run:
    """Complete one child inline, and have another continue in an activity."""
    probe = Probe()
    probe.hold = {"1"}
    run = await engine.launch(2, probe)
    await run.calls(2)

    async def continues() -> bool:
        return await scheduled_activities(run, 1) > 0

    await until(continues, "an activity continues it")
    await run.root.cancel()
    return run


SCENES: Mapping[str, Scene] = {
    "fan-out": plain(5, 2),
    "partitions": plain(1_010, 1_005, window=300),
    "begun": inline_chunks,
    "groups-and-breaker": plain(8, 2, 3, 4, window=1, group_size=4, breaker_failures=2, breaker_cooldown=0.5),
    "rolled-back": plain(6, 3, 4, on_threshold="roll_back", **TOLERATE),
    "item-activities": plain(6, 3, chunk_size=3, execution="activities", item_attempts=2, item_backoff=0),
    "no-children": plain(6, 3, chunk_size=3, execution="no_children"),
    "held": held,
    "steered": steered,
    "saga": failed_saga,
    "item-sagas": item_sagas,
    "delegates": delegates,
    "services": late_service,
    "steps": steps,
    "fan-outs": fan_outs,
    "going-on": resumed,
    "pool": plain(6, 3, execution="pool", window=2),
    "entities": plain(6, 3, execution="entities", entity_field="three-recorded", entity_idle=1),
    "pages": plain(10, 3, paged=True, page_children=4),
    "pipeline": pipeline,
    "stored-results": stored_results,
}


def kept(name: str, run: Run) -> dict[str, str]:
    """Return the workflows whose histories a scene keeps, by file name: its root, and what is special below it."""
    below = {
        "partitions": {"partition": partition_id(run.id, 2), "child": child_id(run.id, 1_005, 2)},
        "item-activities": {"child-of-item-activities": child_id(run.id, 1, None)},
        "pool": {"pool-worker": pool_worker_id(run.root.id, 0)},
        "entities": {"entity": entity_id("", "three-recorded-0")},
        "item-sagas": {"item-saga": child_id(run.id, 1, None)},
        "delegates": {"delegate": child_id(run.id, 0, None)},
        "pipeline": {"stage": stage_id(run.id, 1)},
    }
    if name == "begun":
        return {f"begun-{child}": child_id(run.id, child, None) for child in range(2)}
    return {name: run.root.id, **below.get(name, {})}


async def record(address: str, folder: Path, names: Sequence[str]) -> None:
    """Play scenes and write the histories that they keep."""
    async with running_engine(await connect_with_retries(Connection(address)), address) as engine, engine.listener():
        for name in names:
            run = await SCENES[name](engine)
            await engine.gateway.wait_closed(run.id)
            workflows = kept(name, run)
            if name == "entities":  # an entity closes after its batch, once it has been idle
                await engine.client.get_workflow_handle(workflows["entity"]).result()
            for each, workflow_id in workflows.items():
                history = await engine.client.get_workflow_handle(workflow_id).fetch_history()
                (folder / f"{each}.json").write_text(history.to_json() + "\n")


def main(release: str, names: Sequence[str]) -> None:
    """Record all scenes, or those named, on a server of its own."""
    server = TemporalServer(Path(tempfile.mkdtemp(prefix="canopy-histories-")))
    server.start()
    folder = HISTORIES / release
    folder.mkdir(parents=True, exist_ok=True)
    try:
        asyncio.run(record(server.address, folder, names or list(SCENES)))
    finally:
        server.stop()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
