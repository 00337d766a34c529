"""Retry over HTTP against the running product: accepted and refused children, and idempotency."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.stack import Stack
from tests.support.waiting import wait_until

FAILS_ONCE = {"seconds_from": 0, "seconds_to": 0, "fail_first_attempts": 1}


def failing(stack: Stack, count: int = 6, **more: object) -> str:
    """Return a batch all of whose children failed, and would complete if tried again."""
    plan = {"item_attempts": 1, **more}
    batch = stack.launch(processor="simulate", parameters=FAILS_ONCE, count=count, plan=plan)
    stack.wait_for(batch, "failed")
    return batch


def test_one_child_gets_a_second_attempt_and_the_rest_stays_failed(stack: Stack) -> None:
    batch = failing(stack)
    child = stack.nodes(batch, kind="child")[2]
    answer = stack.api("POST", f"/batches/{batch}/retry", {"nodes": [child["id"]]})
    assert (answer.status_code, answer.json()) == (202, {"accepted": [child["id"]], "refused": [], "goes_on": False})
    state = stack.wait_for(batch, "completed_with_failures")
    assert (state["children"]["completed"], state["children"]["failed"]) == (1, 5)
    after = {node["id"]: node for node in stack.nodes(batch, kind="child")}[child["id"]]
    assert (after["status"], after["attempt"], after["error"]) == ("completed", 2, None)
    assert after["run_id"] != child["run_id"]
    assert after["workflow_id"] == child["workflow_id"]


def test_all_failed_get_another_attempt_and_the_batch_is_completed(stack: Stack) -> None:
    batch = failing(stack)
    answer = stack.api("POST", f"/batches/{batch}/retry", {"status": "failed"}).json()
    assert len(answer["accepted"]) == 6
    state = stack.wait_for(batch, "completed")
    assert state["items"] == {**dict.fromkeys(state["items"], 0), "total": 6, "completed": 6}
    assert Counter(node["attempt"] for node in stack.nodes(batch, kind="child")) == {2: 6}


def test_only_failed_items_of_a_chunk_run_again(stack: Stack) -> None:
    parameters = {"seconds_from": 0, "seconds_to": 0, "fail_percent": 30, "seed": 3}
    batch = stack.launch(
        processor="simulate", parameters=parameters, count=40, plan={"chunk_size": 20, "item_attempts": 1}
    )
    state = stack.wait_for(batch, "completed_with_failures")
    failed = state["items"]["failed"]
    assert 0 < failed < 40
    stack.api("POST", f"/batches/{batch}/retry", {"status": "failed"})
    stack.wait_for(batch, "completed_with_failures")
    items = stack.api("GET", f"/batches/{batch}/items?limit=100").json()["results"]
    attempts = Counter((item["status"], item["attempts"]) for item in items)
    assert attempts == {("completed", 1): 40 - failed, ("failed", 2): failed}


def test_two_operators_and_a_double_click_start_one_attempt(stack: Stack) -> None:
    batch = failing(stack)
    with ThreadPoolExecutor(4) as pool:
        path = f"/batches/{batch}/retry"
        answers = list(pool.map(lambda _: stack.api("POST", path, {"status": "failed"}), range(4)))
    assert {answer.status_code for answer in answers} == {202}
    assert sorted(len(answer.json()["accepted"]) for answer in answers) == [0, 0, 0, 6], "one of them says accepted"
    told = [
        entry["outcome"] for entry in stack.api("GET", f"/batches/{batch}/audit").json() if entry["action"] == "retry"
    ]
    assert sorted(outcome.startswith("6 accepted") for outcome in told) == [False, False, False, True]
    stack.wait_for(batch, "completed")
    assert Counter(node["attempt"] for node in stack.nodes(batch, kind="child")) == {2: 6}


def test_running_and_completed_children_are_refused_with_the_reason(stack: Stack) -> None:
    batch = failing(stack, 2)
    first, second = (node["id"] for node in stack.nodes(batch, kind="child"))
    stack.api("POST", f"/batches/{batch}/retry", {"nodes": [first]})
    stack.wait_for(batch, "completed_with_failures")
    answer = stack.api("POST", f"/batches/{batch}/retry", {"nodes": [first, second]}).json()
    assert answer == {"accepted": [second], "refused": [{"id": first, "reason": "already completed"}], "goes_on": False}
    stack.wait_for(batch, "completed")
    slow = stack.launch(processor="simulate", parameters={"seconds_from": 300, "seconds_to": 300}, count=1)
    stack.wait_for(slow, "running")
    (child,) = stack.nodes(slow, kind="child")
    answer = stack.api("POST", f"/batches/{slow}/retry", {"nodes": [child["id"]]}).json()
    assert answer == {"accepted": [], "refused": [{"id": child["id"], "reason": "already running"}], "goes_on": False}
    stack.api("POST", f"/batches/{slow}/terminate")


@pytest.fixture(scope="module")
def failed_batch(stack: Stack) -> str:
    """A batch of a failed child, which no test retries."""
    return failing(stack, 1)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"nodes": []}, 422),
        ({}, 422),
        ({"nodes": [1], "status": "failed"}, 422),
        ({"status": "odd"}, 422),
        ({"nodes": ["x"]}, 422),
        ({"nodes": [999_999_999]}, 404),
    ],
)
def test_an_invalid_selection_is_refused(stack: Stack, failed_batch: str, body: dict[str, object], status: int) -> None:
    answer = stack.api("POST", f"/batches/{failed_batch}/retry", body)
    assert answer.status_code == status
    assert answer.json()["detail"]


def test_a_child_of_another_batch_is_not_found(stack: Stack, failed_batch: str) -> None:
    other = failing(stack, 1)
    (stranger,) = stack.nodes(other, kind="child")
    answer = stack.api("POST", f"/batches/{failed_batch}/retry", {"nodes": [stranger["id"]]})
    assert answer.status_code == 404
    assert stack.nodes(other, kind="child")[0]["attempt"] == 1


def test_children_below_partitions_are_retried_while_the_batch_runs_and_after(stack: Stack) -> None:
    parameters = {"seconds_from": 0, "seconds_to": 0, "fail_percent": 8, "seed": 9}
    plan = {"item_attempts": 1, "paged": True, "page_children": 25}
    batch = stack.launch(processor="simulate", parameters=parameters, items=list(range(75)), plan=plan)
    state = stack.wait_for(batch, "completed_with_failures")
    failed = state["children"]["failed"]
    partitions = stack.nodes(batch, kind="partition")
    assert [node["status"] for node in partitions] == ["completed"] * 3
    answer = stack.api("POST", f"/batches/{batch}/retry", {"nodes": [partitions[0]["id"]]}).json()
    first = len(answer["accepted"])
    assert 0 < first < failed
    stack.wait_for(batch, "completed_with_failures")
    answer = stack.api("POST", f"/batches/{batch}/retry", {"status": "failed"}).json()
    assert len(answer["accepted"]) == failed
    stack.wait_for(batch, "completed_with_failures")
    attempts = Counter(node["attempt"] for node in stack.nodes(batch, kind="child"))
    assert attempts == {1: 75 - failed, 2: failed - first, 3: first}


def test_a_retry_that_no_worker_answers_is_not_known_yet_is_done_once_and_is_told_afterwards(stack: Stack) -> None:
    batch = failing(stack, 2)
    path, root = f"/batches/{batch}", ("workflow", "describe", "-w", f"batch-{batch}", "-o", "json")
    wait_until(lambda: "STATUS_COMPLETED" in stack.temporal.cli(*root), "the root has closed, and not only said so")
    with sqlite3.connect(stack.home / "canopy.sqlite3", isolation_level=None, timeout=60) as rows:
        rows.execute("BEGIN IMMEDIATE")  # the worker must not stop within a transaction, which would lock everybody out
        os.kill(stack.worker.pid, signal.SIGSTOP)
        rows.execute("ROLLBACK")
    try:
        pressed = [stack.api("POST", f"{path}/operations", {"status": "failed"}) for _ in range(2)]
        operations = [answer.json()["operation"] for answer in pressed]
        shown = stack.api("GET", f"{path}/operations/{operations[0]}").json()
    finally:
        os.kill(stack.worker.pid, signal.SIGCONT)
    assert [answer.status_code for answer in pressed] == [504, 504]
    assert not any("Nothing was changed" in answer.json()["detail"] for answer in pressed)
    assert shown["not_known_since"]

    def known(operation: str) -> bool:
        return stack.api("GET", f"{path}/operations/{operation}").json()["not_known_since"] is None

    wait_until(lambda: all(map(known, operations)), "it is known what came of both")
    told = [entry["outcome"] for entry in stack.api("GET", f"{path}/audit").json() if entry["action"] == "retry"]
    assert [outcome.partition(" Known")[0] for outcome in told] == ["2 accepted, 0 refused."] * 2
    stack.wait_for(batch, "completed")
    assert Counter(node["attempt"] for node in stack.nodes(batch, kind="child")) == {2: 2}
