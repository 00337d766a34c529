"""The API over HTTP against the running product: shapes, statuses, idempotency, paging, and errors in JSON."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.stack import Stack, http
from tests.support.waiting import wait_until

QUICK = {"seconds_from": 0, "seconds_to": 0}
KEYS = {
    "pending",
    "running",
    "completed",
    "failed",
    "canceled",
    "terminated",
    "timed_out",
    "skipped",
    "scheduled",
    "total",
}


@pytest.fixture(scope="module")
def mixed(stack: Stack) -> str:
    """A batch of 12 children, a third of which failed."""
    batch = stack.launch(
        processor="simulate",
        parameters={**QUICK, "fail_percent": 40, "seed": 5},
        count=12,
        plan={"item_attempts": 1},
        label="mixed <b>😀</b>",
    )
    stack.wait_for(batch, "completed_with_failures")
    return batch


def test_the_catalogue_has_schemas(stack: Stack) -> None:
    found = {each["name"]: each for each in stack.api("GET", "/processors").json()}
    assert {"simulate", "http_request"} <= set(found)
    assert found["simulate"]["parameters"]["properties"]["seed"]["type"] == "integer"
    assert set(found["simulate"]) == {"name", "title", "summary", "parameters", "item"}


def test_a_batch_has_its_state_and_counts(stack: Stack, mixed: str) -> None:
    state = stack.batch(mixed)
    assert {"id", "status", "revision", "children", "items"} <= set(state)
    assert set(state["children"]) == set(state["items"]) == KEYS
    assert state["children"]["total"] == 12
    assert sum(number for key, number in state["children"].items() if key != "total") == 12
    assert state["label"] == "mixed <b>😀</b>"


def test_nodes_come_in_pages_and_can_be_filtered(stack: Stack, mixed: str) -> None:
    first = stack.api("GET", f"/batches/{mixed}/nodes?kind=child&limit=5").json()
    assert set(first["results"][0]) >= {
        "id",
        "workflow_id",
        "run_id",
        "parent",
        "kind",
        "status",
        "attempt",
        "error",
    }
    second = stack.api("GET", f"/batches/{mixed}/nodes?kind=child&limit=5&cursor={first['next']}").json()
    third = stack.api("GET", f"/batches/{mixed}/nodes?kind=child&limit=5&cursor={second['next']}").json()
    ids = [node["id"] for page in (first, second, third) for node in page["results"]]
    assert len(ids) == len(set(ids)) == 12
    assert third["next"] is None
    failed = stack.nodes(mixed, status="failed")
    assert failed
    assert all(
        node["error"] == {"kind": "application", "type": "SimulatedFailure", "message": "Simulated failure."}
        for node in failed
    )
    assert [node["kind"] for node in stack.nodes(mixed, kind="root")] == ["root"]


def test_items_come_with_result_or_error(stack: Stack, mixed: str) -> None:
    everything = stack.api("GET", f"/batches/{mixed}/items?limit=1000").json()["results"]
    assert [item["index"] for item in everything] == list(range(12))
    for status in ("completed", "failed"):
        found = stack.api("GET", f"/batches/{mixed}/items?status={status}").json()["results"]
        assert found == [item for item in everything if item["status"] == status]
        assert all((item["error"] is None) == (status == "completed") for item in found)
        assert all((item["result"] is None) == (status == "failed") for item in found)


def test_an_idempotency_key_launches_once(stack: Stack) -> None:
    body = {"processor": "simulate", "parameters": QUICK, "items": [{"id": 1}, {"id": 2}]}
    first = stack.api("POST", "/batches", body, **{"Idempotency-Key": "night-1"})
    again = stack.api("POST", "/batches", body, **{"Idempotency-Key": "night-1"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    other = stack.api("POST", "/batches", {**body, "items": [1]}, **{"Idempotency-Key": "night-1"})
    assert other.status_code == 422
    assert "Idempotency-Key" in other.json()["errors"]
    assert http.get(first.json()["url"]).headers["Location"].startswith("/login/")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"processor": "nope", "count": 1}, "processor"),
        ({"count": 1}, "processor"),
        ({"processor": "simulate"}, "items"),
        ({"processor": "simulate", "count": 1, "items": [1]}, "items"),
        ({"processor": "simulate", "count": 0}, "count"),
        ({"processor": "simulate", "count": 10_000_000}, "count"),
        ({"processor": "simulate", "count": "many"}, "count"),
        ({"processor": "simulate", "items": []}, "items"),
        ({"processor": "simulate", "items": [{"x": "y" * 1_048_576}]}, "items"),
        ({"processor": "simulate", "count": 1, "plan": {"window": 0}}, "plan.window"),
        ({"processor": "simulate", "count": 1, "plan": {"failure_policy": "hope"}}, "plan.failure_policy"),
        ({"processor": "simulate", "count": 1, "plan": {"colour": 1}}, "plan.colour"),
        ({"processor": "simulate", "count": 1, "parameters": {"seed": "x"}}, "parameters.seed"),
        ({"processor": "simulate", "count": 1, "parameters": {"nope": 1}}, "parameters.nope"),
        ({"processor": "simulate", "count": 1, "surprise": 1}, "surprise"),
        ({"processor": "http_request", "count": 1, "parameters": {"body": "{"}}, "parameters.body"),
    ],
)
def test_an_invalid_launch_is_refused_with_errors_by_field(stack: Stack, body: dict[str, Any], field: str) -> None:
    answer = stack.api("POST", "/batches", body)
    assert answer.status_code == 422
    assert list(answer.json()["errors"]) == [field]
    assert all(answer.json()["errors"][field])


def test_every_error_is_json(stack: Stack, mixed: str) -> None:
    url = f"{stack.url}/api/v1"
    assert http.get(f"{url}/processors").status_code == 401
    assert http.post(f"{url}/batches", json={}).json()["detail"]
    wrong = {"Authorization": "Bearer canopy_nope"}
    assert http.get(f"{url}/processors", headers=wrong).status_code == 401
    token = {"Authorization": f"Bearer {stack.login['token']}"}
    assert http.post(f"{url}/batches", content=b"{oops", headers=token).status_code == 422
    for method, path, status in (
        ("GET", "/batches/000000000000", 404),
        ("GET", "/nothing/here", 404),
        ("GET", f"/batches/{mixed}/nodes?status=odd", 422),
        ("GET", f"/batches/{mixed}/nodes?limit=0", 422),
        ("GET", f"/batches/{mixed}/nodes?cursor=x", 422),
        ("POST", f"/batches/{mixed}/pause", 409),
        ("POST", f"/batches/{mixed}/cancel", 409),
        ("POST", f"/batches/{mixed}/terminate", 409),
        ("POST", "/batches/000000000000/pause", 404),
    ):
        answer = stack.api(method, path)
        assert (answer.status_code, bool(answer.json()["detail"])) == (status, True), path
    assert stack.api("POST", f"/batches/{mixed}/window", {"window": 0}).status_code == 422
    assert stack.api("POST", f"/batches/{mixed}/window", {"window": 5}).status_code == 409


def test_a_batch_is_paused_widened_and_resumed(stack: Stack) -> None:
    batch = stack.launch(
        processor="simulate", parameters={"seconds_from": 0.5, "seconds_to": 0.5}, count=60, plan={"window": 2}
    )
    stack.wait_for(batch, "running")
    assert stack.api("POST", f"/batches/{batch}/pause").status_code == 202
    stack.wait_for(batch, "paused")
    wait_until(lambda: stack.batch(batch)["children"]["running"] == 0, "open children close")
    assert stack.batch(batch)["children"]["pending"] > 0
    assert stack.api("POST", f"/batches/{batch}/window", {"window": 30}).status_code == 202
    wait_until(lambda: stack.batch(batch)["window"] == 30, "the window is changed")
    assert stack.api("POST", f"/batches/{batch}/resume").status_code == 202
    state = stack.wait_for(batch, "completed")
    assert state["children"]["completed"] == 60


@pytest.mark.parametrize(("action", "outcome"), [("cancel", "canceled"), ("terminate", "terminated")])
def test_a_batch_can_be_ended_and_then_run_on(stack: Stack, action: str, outcome: str) -> None:
    batch = stack.launch(
        processor="simulate", parameters={"seconds_from": 0.5, "seconds_to": 0.5}, count=40, plan={"window": 1}
    )
    wait_until(lambda: stack.batch(batch)["children"]["completed"] >= 2, "some have completed")
    assert stack.api("POST", f"/batches/{batch}/{action}").status_code == 202
    stack.wait_for(batch, outcome)
    settled = stack.batch(batch)
    completed = settled["children"]["completed"]
    assert completed >= 2
    assert settled["children"]["skipped"] > 0
    answer = stack.api("POST", f"/batches/{batch}/operations", {"status": "unfinished", "window": 20}).json()
    assert answer["accepted"] == 40 - completed
    assert stack.wait_for(batch, "completed")["items"]["completed"] == 40
