"""Ends on a real worker: of its process by an item or a step, and of Temporal while items are at work."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from orchestration.contracts.workflow_ids import root_id
from tests.faults.endings import FOLDER
from tests.support.http_browser import http_browser
from tests.support.prepared import prepared_home
from tests.support.running import Run
from tests.support.stack import http
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

FLOW = """
kind: steps
steps:
  - name: both
    parallel:
      - {name: ends, run: {processor: end_or_work, input: {value: ends-step}}}
      - {name: works, run: {processor: end_or_work, input: {value: slow-step}}}
"""
ENDED = {"type": "EndedWorker", "message": "It ended its worker 3 times: the process died or was killed while it ran."}
WITHIN = 420.0
ENVIRONMENT = {"CANOPY_PROCESSORS": "tests.faults.endings", "CANOPY_FROZEN_AFTER": "60"}
"""A worker that a test suspends must come back by itself, on a slow machine, too."""

AT_WORK = ("process_chunk", "process_item", "run_step")
ONE_STEP = """
kind: steps
steps:
  - {name: works, run: {processor: end_or_work, input: {value: waits-step-alone}}}
"""
STARTED = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where items note their calls."""
    return tmp_path_factory.mktemp("endings")


@pytest.fixture(scope="module")
def run(folder: Path) -> Iterator[Run]:
    """A run whose worker knows the processors."""
    shutil.copytree(prepared_home(), folder / "home")
    run = Run(folder / "home", environment=ENVIRONMENT | {FOLDER: str(folder)})
    run.start()
    yield run
    run.process.stop()


def launch(run: Run, **body: Any) -> str:
    answer = run.api("POST", "/batches", body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def state(run: Run, batch: str) -> dict[str, Any]:
    answer = run.api("GET", f"/batches/{batch}")
    found: dict[str, Any] = answer.json() if answer.status_code == 200 else {}
    return found


def calls(folder: Path) -> Counter[str]:
    noted = folder / "calls"
    return Counter(noted.read_text().split() if noted.exists() else ())


def test_an_item_and_a_step_that_end_their_worker_are_counted_out_alone(run: Run, folder: Path) -> None:
    saved = run.api("POST", "/definitions", {"name": "endings", "text": FLOW}).json()["newest"]["id"]
    items = ["first", "ends-item", "last"]
    batch = launch(run, processor="end_or_work", items=items, plan={"chunk_size": 3, "execution": "chunk"})
    flow = launch(run, definition=saved, plan={"item_attempts": 1, "item_timeout": WITHIN})
    wait_until(lambda: state(run, batch).get("status") == "completed_with_failures", "the batch has ended", WITHIN)
    found = {each["key"]: each for each in run.api("GET", f"/batches/{batch}/items").json()["results"]}
    assert {key: each["status"] for key, each in found.items()} == {
        "first": "completed",
        "ends-item": "failed",
        "last": "completed",
    }
    error = found["ends-item"]["error"]
    assert {name: error[name] for name in ENDED} == ENDED

    def steps() -> dict[str, Any]:
        nodes = run.api("GET", f"/batches/{flow}/nodes?limit=50").json()["results"]
        return {each["label"]: each for each in nodes}

    wait_until(lambda: state(run, flow).get("status") == "failed", "the flow has ended", WITHIN)
    assert steps()["ends"]["status"] == "failed"
    assert ENDED["message"] in str(steps()["ends"]["error"])
    assert steps()["works"]["status"] == "completed"
    for each in ("ends-item", "ends-step"):
        assert calls(folder)[each] <= 4, "once without a note, and three times with one"


def test_items_that_stop_their_worker_fail_alone_and_it_goes_on(run: Run, folder: Path) -> None:
    worker = run.pid("worker")
    items = ["stops-by-kill", "before", "stops-by-raise", "after"]
    batch = launch(run, processor="end_or_work", items=items, plan={"chunk_size": 4})
    wait_until(lambda: state(run, batch).get("status") == "completed_with_failures", "the batch has ended", WITHIN)
    found = {each["key"]: each for each in run.api("GET", f"/batches/{batch}/items").json()["results"]}
    errors = {key: (each["error"] or {}).get("type") for key, each in found.items()}
    refused = "StopsItsWorker"
    assert errors == {"stops-by-kill": refused, "before": None, "stops-by-raise": refused, "after": None}
    assert "SIGTERM to its own worker" in found["stops-by-kill"]["error"]["message"]
    assert {key: calls(folder)[key] for key in items} == dict.fromkeys(items, 1)
    assert run.pid("worker") == worker


def test_nothing_at_work_runs_again_because_temporal_or_the_worker_was_away(run: Run, folder: Path) -> None:
    each_alone = {"chunk_size": 2, "item_timeout": WITHIN, "execution": "activities", "item_attempts": 3}
    together = {"chunk_size": 2, "item_timeout": WITHIN, "item_concurrency": 2}
    saved = run.api("POST", "/definitions", {"name": "one step", "text": ONE_STEP}).json()["newest"]["id"]
    waiting = {"together": ["waits-1", "waits-2"], "alone": ["waits-3", "waits-4"]}
    batches = [
        launch(run, processor="end_or_work", items=waiting["together"], plan=together),
        launch(run, processor="end_or_work", items=waiting["alone"], plan=each_alone),
        launch(run, definition=saved, plan={"item_timeout": WITHIN}),
    ]
    expected = dict.fromkeys([*waiting["together"], *waiting["alone"], "waits-step-alone"], 1)
    wait_until(lambda: {key: calls(folder)[key] for key in expected} == expected, "all are at work", WITHIN)
    wait_until(lambda: len(attempts(run, batches)) == 4, "four activities are open", WITHIN)
    os.kill(run.pid("temporal"), signal.SIGKILL)
    wait_until(lambda: len(attempts(run, batches)) == 4, "Temporal is back", WITHIN)
    worker = psutil.Process(run.pid("worker"))
    worker.suspend()
    wait_until(lambda: min(attempts(run, batches, is_started=False), default=1) > 1, "none heartbeats", WITHIN)
    worker.resume()
    wait_until(lambda: [each > 1 for each in attempts(run, batches)] == [True] * 4, "each is tried again", WITHIN)
    (folder / "go").touch()
    for batch in batches:
        wait_until(lambda batch=batch: state(run, batch).get("status") == "completed", batch, WITHIN)  # type: ignore[misc]
    assert {key: calls(folder)[key] for key in expected} == expected
    (folder / "go").unlink()


def test_a_worker_that_an_item_freezes_is_not_answering_and_is_replaced(run: Run, folder: Path) -> None:
    def said() -> str:
        return str(http.get(f"{run.url}/healthz", timeout=30).json()["worker"]["error"])

    wait_until(lambda: said() == "", "the worker has come back from what other tests did to it")
    batch = launch(run, processor="end_or_work", items=["freezes-once", "beside"], plan={"chunk_size": 2})
    wait_until(lambda: calls(folder)["freezes-once"] == 1, "it has frozen its worker", WITHIN)
    frozen = run.pid("worker")
    wait_until(lambda: said() == "The worker is not answering: its process lives, but does nothing.", said)
    browser = http_browser(run)
    wait_until(lambda: "The worker is not answering" in browser.get("/").text, "Home says so")
    wait_until(lambda: "not answering for" in browser.get("/queues/").text, "Queues says so")

    def findings() -> list[str]:
        return [each["code"] for each in run.api("GET", f"/batches/{batch}/diagnosis").json()["findings"]]

    wait_until(lambda: "worker_frozen" in findings(), "the diagnosis says so")
    wait_until(lambda: run.pid("worker") not in (0, frozen), "it is replaced", WITHIN)
    wait_until(lambda: state(run, batch).get("status") == "completed", "the batch goes on", WITHIN)
    assert calls(folder)["freezes-once"] >= 2
    assert "endings.py" in (run.home / "logs" / "worker.log").read_text(), "the log says where it was"


def attempts(run: Run, batches: list[str], *, is_started: bool = True) -> list[int]:
    """Return the attempts of the activities below batches that a worker has, or all; none while Temporal is away."""
    port, _ = json.loads((run.home / "temporal-ports.json").read_text())

    async def ask() -> list[int]:
        client = await Client.connect(f"127.0.0.1:{port}")
        found = list[int]()
        for name in [name for batch in batches for name in (root_id(batch), f"{root_id(batch)}/c0")]:
            try:
                described = await client.get_workflow_handle(name).describe()
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
                continue
            for each in described.raw_description.pending_activities:
                if each.activity_type.name in AT_WORK and (each.state == STARTED or not is_started):
                    found.append(each.attempt)
        return found

    try:
        return asyncio.run(ask())
    except Exception:
        return []
