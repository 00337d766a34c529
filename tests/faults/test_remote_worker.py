"""A worker on a machine of its own: a second virtual environment without Django, a queue of its own, over the API."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from temporalio.client import Client

from orchestration.contracts.workflow_ids import root_id
from tests.support.definition_texts import save_definition
from tests.support.second_environment import make_environment
from tests.support.stack import Process, Stack, TemporalServer, http
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

QUEUE = "heavy"
SEED = 23
"""Of six items numbered from 0, the fourth is the first that `simulate` lets fail with it, at 30%."""

PROCESSOR = """
import importlib.util
import sys

from pydantic import BaseModel

from orchestration.processors.registry import ItemContext, processor
from orchestration.processors.uploads import Upload


@processor
def where_it_runs(number: int, context: ItemContext) -> dict[str, str]:
    "Say in which environment an item was processed; every fourth fails at first."
    if number % 4 == 0 and context.attempt < 3:
        raise RuntimeError(f"attempt {context.attempt} of {number}")
    return {"prefix": sys.prefix, "django": str(importlib.util.find_spec("django"))}


class Dictionary(BaseModel):
    words: Upload


@processor
async def translate(word: str, dictionary: Dictionary) -> str:
    "Look a word up in a file that was uploaded."
    found = dict(line.split("=") for line in dictionary.words.read_text().splitlines())
    return found[word]


@processor
def much(name: str) -> dict[str, str]:
    "Return half a megabyte."
    return {"text": name.ljust(500_000, "x")}


@processor
def measure(text: str) -> dict[str, str]:
    "Say how it begins, and how long it is."
    return {"begins": text[:3], "length": str(len(text))}
"""

FLOW = "kind: steps\nsteps:\n" + "".join(
    [f"  - {{name: s{number}, run: {{processor: much, input: {{value: s{number}}}}}}}\n" for number in range(12)]
    + ["  - {name: last, run: {processor: measure, input: {value: {ref: s0.text}}}}\n"]
)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a virtual environment that has what a worker needs, and a processor."""
    folder = tmp_path_factory.mktemp("machine")
    (folder / "elsewhere.py").write_text(PROCESSOR)
    make_environment(folder / "venv")
    return folder


@pytest.fixture(scope="module")
def knowing_stack(machine: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose web process knows the processor too, for its form."""
    server = TemporalServer(tmp_path_factory.mktemp("temporal"))
    server.start()
    stack = Stack(server, {"CANOPY_PROCESSORS": "elsewhere", "PYTHONPATH": str(machine)})
    stack.start()
    yield stack
    stack.stop()
    server.stop()


@pytest.fixture
def worker(machine: Path, knowing_stack: Stack) -> Iterator[Process]:
    """The worker of the other machine; not yet started."""
    arguments = command(machine, "--queue", QUEUE, "--processors", "elsewhere")
    process = Process(arguments, machine / "worker.log", environment(knowing_stack), machine)
    yield process
    process.stop()


def command(machine: Path, *arguments: str) -> list[str]:
    """Return the command of the second environment."""
    return [str(machine / "venv/bin/canopy"), "worker", *arguments]


def environment(stack: Stack, **more: str) -> dict[str, str]:
    """Return the environment of the other machine: no Django settings, no database."""
    own = {"PATH": os.environ["PATH"], "TEMPORAL_ADDRESS": stack.temporal.address}
    return own | {"CANOPY_URL": stack.url, "CANOPY_TOKEN": stack.login["token"], **more}


def launch(stack: Stack, count: int, **plan: object) -> str:
    """Launch numbers on the queue."""
    items = [{"value": number} for number in range(1, count + 1)]
    plan = {"task_queue": QUEUE, "chunk_size": 8, "item_attempts": 2, "item_backoff": 0, **plan}
    return stack.launch(processor="where_it_runs", items=items, plan=plan)


def test_a_machine_without_django_processes_a_queue_of_its_own(
    machine: Path, knowing_stack: Stack, worker: Process
) -> None:
    stack = knowing_stack
    batch = launch(stack, 32)
    worker.start()
    stack.wait_for(batch, "completed_with_failures")
    items = stack.api("GET", f"/batches/{batch}/items?limit=100").json()["results"]
    failed = [item for item in items if item["status"] == "failed"]
    assert [item["key"] for item in failed] == [str(number) for number in range(4, 33, 4)]
    assert {item["error"]["message"] for item in failed} == {f"attempt 2 of {item['key']}" for item in failed}
    done = [item["result"] for item in items if item["status"] == "completed"]
    assert done == [{"prefix": str(machine / "venv"), "django": "None"}] * 24
    assert stack.api("POST", f"/batches/{batch}/retry", {"status": "failed"}).status_code == 202
    stack.wait_for(batch, "completed")


KINDS: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "pool": ({"execution": "pool", "window": 2, "chunk_size": 2}, {}),
    "entities": ({"execution": "entities", "entity_field": "account"}, {}),
    "no children": ({"execution": "no_children", "chunk_size": 2}, {}),
    "activities": ({"execution": "activities", "chunk_size": 3}, {}),
    "local activities": ({"execution": "local_activities", "chunk_size": 3}, {}),
    "resources": ({"resource_field": "id"}, {}),
    "further runs": ({"child_attempts": 3, "child_backoff": 0.1, "item_attempts": 1}, {"fail_first_attempts": 1}),
    "rolled back": (
        {"failure_policy": "fail_fast", "on_threshold": "roll_back", "window": 1, "item_attempts": 1},
        {"fail_percent": 30, "seed": SEED},
    ),
}
"""Plan and parameters of what tells its runs apart in different ways."""


def test_results_of_every_kind_of_run_are_taken_from_a_workers_token(
    machine: Path, knowing_stack: Stack, worker: Process
) -> None:
    stack = knowing_stack
    token = stack.api("POST", "/tokens", {"name": "of a machine", "kind": "worker", "queues": [QUEUE]}).json()["token"]
    own = Process(worker.command, machine / "own.log", environment(stack, CANOPY_TOKEN=token), machine)
    items = [{"id": str(number), "account": f"account-{number % 2}"} for number in range(6)]
    batches = dict[str, str]()
    for kind, (plan, parameters) in KINDS.items():
        quick = {"seconds_from": 0, "seconds_to": 0.05, **parameters}
        plan = {"task_queue": QUEUE, "chunk_size": 1, **plan}
        batches[kind] = stack.launch(processor="simulate", items=items, key="id", parameters=quick, plan=plan)

    def undone() -> list[str]:
        found = stack.api("GET", f"/batches/{batches['rolled back']}/items").json()["results"]
        return [item["key"] for item in found if item["undone_at"]]

    own.start()
    try:
        ends = {kind: stack.wait_for(batch, "completed", "rolled_back") for kind, batch in batches.items()}
        wait_until(lambda: undone() == ["0", "1", "2"], lambda: f"what had completed is undone, not {undone()}")
    finally:
        own.stop()
    assert {kind: end["items"]["completed"] for kind, end in ends.items()} == {
        **dict.fromkeys(KINDS, 6),
        "rolled back": 3,
    }
    for kind, batch in batches.items():
        trail = stack.api("GET", f"/batches/{batch}/audit").json()
        assert {each["outcome"] for each in trail if each["action"] == "work"} == {"Accepted."}, kind


def test_a_file_parameter_is_read_over_the_api(knowing_stack: Stack, worker: Process) -> None:
    stack = knowing_stack
    words = b"leaf=Blatt\nroot=Wurzel\n" + b"#=#\n" * 200_000
    headers = {"Authorization": f"Bearer {stack.login['token']}"}
    sent = http.post(f"{stack.url}/api/v1/uploads", files={"file": ("words.txt", words)}, headers=headers)
    assert (sent.status_code, sent.json()["size"]) == (201, len(words))
    body = {"processor": "translate", "items": [{"value": "leaf"}, {"value": "root"}], "plan": {"task_queue": QUEUE}}
    refused = stack.api("POST", "/batches", body | {"parameters": {"words": {"upload": "nothing-like-it"}}})
    assert refused.status_code == 422
    assert refused.json()["errors"]["parameters.words"] == ["There is no upload 'nothing-like-it'."]
    worker.start()
    batch = stack.launch(**body, parameters={"words": {"upload": sent.json()["id"]}})
    stack.wait_for(batch, "completed")
    items = stack.api("GET", f"/batches/{batch}/items").json()["results"]
    assert [item["result"] for item in items] == ["Blatt", "Wurzel"]


def test_a_flow_keeps_the_large_results_of_its_steps_over_the_api(knowing_stack: Stack, worker: Process) -> None:
    stack = knowing_stack
    saved = save_definition(stack, FLOW)
    worker.start()
    batch = stack.launch(definition=saved, plan={"task_queue": QUEUE})
    stack.wait_for(batch, "completed")
    steps = {node["label"]: node for node in stack.api("GET", f"/batches/{batch}/nodes?kind=step").json()["results"]}
    assert steps["last"]["note"] == "begins: s0x, length: 500000"
    result = stack.api("GET", f"/batches/{batch}/nodes/{steps['s7']['id']}/result").json()
    assert result == {"text": "s7".ljust(500_000, "x")}

    async def history() -> int:
        client = await Client.connect(stack.temporal.address)
        found = await client.get_workflow_handle(root_id(batch)).fetch_history()
        return sum(len(event.SerializeToString()) for event in found.events)

    assert asyncio.run(history()) < 200_000


def test_calls_that_fail_while_the_dashboard_is_away_are_retried_and_nothing_is_lost(
    knowing_stack: Stack, worker: Process
) -> None:
    stack = knowing_stack
    worker.start()
    batch = launch(stack, 400, chunk_size=20, item_attempts=3, item_backoff=0.2, item_concurrency=2, window=4)
    wait_until(lambda: stack.batch(batch)["items"]["completed"] > 20, "it is at work")
    stack.web.kill()
    stack.web.start()
    stack.wait_healthy()
    state = stack.wait_for(batch, "completed")
    assert state["items"]["completed"] == 400


@pytest.mark.parametrize(
    ("arguments", "more", "reason"),
    [
        (["--queue", "canopy"], {}, "is reserved for Canopy"),
        (["--queue", "q", "--processors", "nowhere"], {}, "No module named 'nowhere'"),
        (["--queue", "q"], {"CANOPY_TOKEN": ""}, "CANOPY_TOKEN is not set"),
        (["--queue", "q"], {"CANOPY_TOKEN": "wrong"}, "401"),
    ],
)
def test_an_invalid_configuration_is_reported_at_the_start(
    machine: Path, knowing_stack: Stack, arguments: list[str], more: dict[str, str], reason: str
) -> None:
    done = subprocess.run(
        command(machine, *arguments),
        env=environment(knowing_stack, **more),
        cwd=machine,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 2
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


def test_a_viewer_and_invalid_bodies_are_refused(knowing_stack: Stack) -> None:
    for path in ("chunks/read?run_id=r", "results", "notes"):
        assert knowing_stack.api("POST", f"/worker/{path}", {"no": "sense"}).status_code == 422
        headers = {"Authorization": "Bearer canopy_of_nobody"}
        assert knowing_stack.api("POST", f"/worker/{path}", [], **headers).status_code == 401
    chunk = {"batch_id": "nope", "child": 0, "offset": 0, "length": 1, "task_queue": QUEUE, "timeout": "PT1M"}
    answer = knowing_stack.api("POST", "/worker/chunks/read?run_id=r", chunk)
    assert (answer.status_code, answer.json()["detail"]) == (404, "Batch nope does not exist.")
