"""Launches of presets and saved definitions over page and API, and what their pages show."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from orchestration.plan.presets import PRESETS, Preset
from tests.support.stack import Stack
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

QUICK = {"seconds_from": 0, "seconds_to": 0.05}
ITEMS = [{"host": f"host-{number}"} for number in range(12)]


def api(stack: Stack) -> httpx.Client:
    return httpx.Client(
        base_url=f"{stack.url}/api/v1", headers={"Authorization": f"Bearer {stack.login['token']}"}, timeout=60
    )


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_a_preset_can_be_launched_as_it_is(stack: Stack, preset: Preset) -> None:
    with api(stack) as client:
        plan: dict[str, Any] = {"hold_timeout": 1} if "hold_at_end" in preset.plan else {}
        plan |= {"breaker_cooldown": 0.5} if "breaker_failures" in preset.plan else {}
        given = {"preset": preset.name, "items": ITEMS[:6], "key": "host", "parameters": QUICK, "plan": plan}
        answer = client.post("/batches", json=given)
        assert answer.status_code == 201, answer.text
        batch_id = answer.json()["id"]
        if preset.name == "approval":
            stack.wait_for(batch_id, "held")
            assert client.post(f"/batches/{batch_id}/decide", json={"approved": True}).status_code == 202
        over = ("completed", "completed_with_failures", "failed", "rolled_back")
        seen = stack.wait_for(batch_id, *over)
        counts = seen["children"]
        assert counts["pending"] == counts["running"] == 0


def test_the_launch_page_offers_every_preset_and_fills_the_form(stack: Stack) -> None:
    with httpx.Client(
        base_url=stack.url, headers={"Authorization": f"Bearer {stack.login['token']}"}, timeout=60
    ) as client:
        page = client.get("/api/v1/presets").json()
        assert {each["name"] for each in page} == {preset.name for preset in PRESETS}
        assert all(each["when"].endswith(".") for each in page)


def test_rollbacks_are_rows_below_their_children_and_show_what_could_not_be_undone(stack: Stack) -> None:
    with api(stack) as client:
        parameters = {**QUICK, "fail_percent": 30, "undo_fail_percent": 20, "seed": 3}
        given = {"preset": "roll-back", "count": 40, "parameters": parameters}
        batch_id = client.post("/batches", json=given).json()["id"]
        stack.wait_for(batch_id, "rolled_back")
        children = {node["id"]: node for node in stack.nodes(batch_id, kind="child")}

        def ended() -> list[dict[str, Any]]:
            found = stack.nodes(batch_id, kind="rollback")
            return [] if any(each["status"] == "running" for each in found) else found

        rollbacks = wait_until(ended, "every rollback has ended")
        assert {rollback["status"] for rollback in rollbacks} == {"completed", "failed"}
        assert all(rollback["parent"] in children for rollback in rollbacks)
        items = client.get(f"/batches/{batch_id}/items", params={"limit": 1000}).json()["results"]
        undone = {item["child"] for item in items if item["undone_at"]}
        stuck = {item["child"] for item in items if item["undo_error"]}
        completed = {item["child"] for item in items if item["result"] is not None}
        assert undone == {row["position"] for row in rollbacks if row["status"] == "completed"} & completed
        assert stuck == {rollback["position"] for rollback in rollbacks if rollback["status"] == "failed"}
        answer = client.post(f"/batches/{batch_id}/retry", json={"status": "failed"})
        assert answer.status_code == 409
        assert "rolled back" in answer.json()["detail"]


def test_a_held_batch_shows_its_deadline_and_continues_when_released(stack: Stack) -> None:
    with api(stack) as client:
        given = {"preset": "hold", "count": 10, "parameters": {**QUICK, "fail_percent": 40}}
        batch_id = client.post("/batches", json=given).json()["id"]
        seen = stack.wait_for(batch_id, "held")
        assert seen["held"]["kind"] == "failures"
        assert seen["held"]["until"]
        assert client.post(f"/batches/{batch_id}/decide", json={"approved": True}).status_code == 409
        assert client.post(f"/batches/{batch_id}/skip", json={}).status_code == 202
        stack.wait_for(batch_id, "completed_with_failures")
        # The root may be seen to have closed before the last of its events has arrived.
        wait_until(lambda: stack.batch(batch_id)["children"]["failed"] == 0, "no child is failed any more")
        seen = stack.batch(batch_id)
        assert seen["children"]["skipped"] > 0
        assert seen["held"] is None
        assert client.post(f"/batches/{batch_id}/finish", json={}).status_code == 409


@pytest.mark.parametrize(
    ("plan", "field"),
    [
        ({"window": 0}, "window"),
        ({"partitions": "never"}, "partitions"),
        ({"execution": "no_children"}, "execution"),
        ({"failure_policy": "tolerate", "tolerated_percent": 130}, "tolerated_percent"),
        ({"fire_and_forget": True}, "plan"),
        ({"group_delay": 5}, "plan"),
    ],
)
def test_a_plan_that_cannot_work_is_refused_with_the_field(stack: Stack, plan: dict[str, Any], field: str) -> None:
    with api(stack) as client:
        answer = client.post("/batches", json={"processor": "simulate", "count": 5_000, "plan": plan})
        assert answer.status_code == 422
        assert any(name.split(".")[-1] == field for name in answer.json()["errors"]), answer.text


def test_a_processor_without_compensation_cannot_be_rolled_back(stack: Stack) -> None:
    with api(stack) as client:
        given = {
            "processor": "http_request",
            "items": ["https://example.org"],
            "plan": {"failure_policy": "fail_fast", "on_threshold": "roll_back"},
        }
        answer = client.post("/batches", json=given)
        assert answer.status_code == 422
        assert "no compensation" in answer.json()["errors"]["plan.on_threshold"][0]


SAGA = """
kind: saga
steps:
  - name: reserve
    processor: simulate
    parameters: {seconds_to: 0.1}
    compensation: {processor: simulate, parameters: {seconds_to: 0.1}}
  - name: charge
    processor: simulate
    parameters: {seconds_to: 0.1, fail_percent: 100}
"""


def test_a_saved_definition_is_launched_and_its_steps_are_rows(stack: Stack) -> None:
    with api(stack) as client:
        saved = client.post("/definitions", json={"name": f"saga {stack.port}", "text": SAGA})
        assert saved.status_code == 201, saved.text
        version = client.get(f"/definitions/{saved.json()['id']}").json()["versions"][0]["id"]
        answer = client.post("/batches", json={"definition": version, "plan": {"item_attempts": 1}})
        assert answer.status_code == 201, answer.text
        batch_id = answer.json()["id"]
        stack.wait_for(batch_id, "rolled_back")
        nodes = {node["label"]: node for node in client.get(f"/batches/{batch_id}/nodes").json()["results"]}
        assert nodes["reserve"]["status"] == "completed"
        assert nodes["charge"]["status"] == "failed"
        assert nodes["rollback"]["parent"] == nodes["reserve"]["id"]


def test_a_report_is_written_once_for_each_run_and_can_be_downloaded(stack: Stack) -> None:
    with api(stack) as client:
        parameters = {**QUICK, "fail_percent": 40}
        given = {"preset": "report", "count": 20, "parameters": parameters, "plan": {"item_attempts": 1}}
        batch_id = client.post("/batches", json=given).json()["id"]
        failed = stack.wait_for(batch_id, "completed_with_failures")["items"]["failed"]
        [report] = client.get(f"/batches/{batch_id}/reports").json()
        assert report["items"] == {"total": 20, "completed": 20 - failed, "failed": failed}
        assert report["success_rate"] == (20 - failed) / 20
        assert report["children"]["failed"] == failed
        assert [(group["type"], group["number"]) for group in report["errors"]] == [("SimulatedFailure", failed)]
        assert client.post(f"/batches/{batch_id}/retry", json={"status": "failed"}).status_code == 202

        def is_reported() -> bool:
            return len(client.get(f"/batches/{batch_id}/reports").json()) == 2

        wait_until(is_reported, "the retry has a report of its own")
    with httpx.Client(base_url=stack.url, follow_redirects=True, timeout=60) as browser:
        browser.get("/login/")
        login = {key: stack.login[key] for key in ("username", "password")}
        browser.post("/login/", data={**login, "csrfmiddlewaretoken": browser.cookies["csrftoken"]})
        text = browser.get(f"/batches/{batch_id}/reports/2.md")
        assert text.headers["Content-Type"].startswith("text/markdown")
        assert f"| {failed} | SimulatedFailure |" in text.text
        assert browser.get(f"/batches/{batch_id}/reports/3.md").status_code == 404


def test_workers_of_a_pool_are_rows_that_can_be_paused_one_by_one(stack: Stack) -> None:
    parameters = {"seconds_from": 1, "seconds_to": 1}
    plan = {"window": 2, "chunk_size": 1}
    batch_id = stack.launch(preset="worker-pool", count=16, parameters=parameters, plan=plan)

    def workers() -> list[dict[str, Any]]:
        found = stack.nodes(batch_id, kind="pool_worker")
        return found if len(found) == 2 and all(node["note"] for node in found) else []

    first, second = wait_until(workers, "two workers are at work") or [{}, {}]
    answer = stack.api("POST", f"/batches/{batch_id}/nodes/{first['id']}/pause")
    assert answer.status_code == 202

    def notes() -> dict[int, str]:
        return {node["id"]: node["note"] for node in stack.nodes(batch_id, kind="pool_worker")}

    wait_until(lambda: notes()[first["id"]].startswith("Paused"), f"the first is paused: {notes()}")
    assert not notes()[second["id"]].startswith("Paused")
    assert stack.api("POST", f"/batches/{batch_id}/nodes/{first['id']}/resume").status_code == 202
    seen = stack.wait_for(batch_id, "completed", "completed_with_failures")
    assert seen["children"]["total"] == 16
    assert {node["status"] for node in stack.nodes(batch_id, kind="pool_worker")} == {"completed"}
    (child, *_) = stack.nodes(batch_id, kind="child")
    assert stack.api("POST", f"/batches/{batch_id}/nodes/{child['id']}/pause").status_code == 409


QUICK_WORK = "processor: simulate\nparameters: {seconds_from: 0, seconds_to: 0}\n"


@pytest.mark.parametrize(
    ("text", "kind", "number"),
    [("kind: pool\nworkers: 2\n", "pool_worker", 2), ("kind: entity\nkey: host\n", "entity", 12)],
    ids=["pool", "entity"],
)
def test_pools_and_entities_are_launched_from_saved_definitions_too(
    stack: Stack, text: str, kind: str, number: int
) -> None:
    saved = stack.api("POST", "/definitions", {"name": f"{kind} {stack.port}", "text": text + QUICK_WORK}).json()
    batch_id = stack.launch(definition=saved["newest"]["id"], items=ITEMS, key="host")
    assert stack.wait_for(batch_id, "completed")["items"]["completed"] == 12
    rows = stack.nodes(batch_id, kind=kind)
    assert (len(rows), {row["status"] for row in rows}) == (number, {"completed"})


def test_operations_on_one_account_are_rows_in_order_below_one_batch(stack: Stack) -> None:
    items = [{"account": name, "n": number} for number in range(3) for name in ("ada", "bob")]
    parameters = {"seconds_from": 0.2, "seconds_to": 0.2}
    batch_id = stack.launch(preset="entities", items=items, parameters=parameters)
    stack.wait_for(batch_id, "completed")
    assert {row["label"] for row in stack.nodes(batch_id, kind="entity")} == {"ada", "bob"}
    ended = stack.api("GET", f"/batches/{batch_id}/items?limit=100").json()["results"]
    for name in ("ada", "bob"):
        times = [item["finished_at"] for item in ended if item["data"]["account"] == name]
        assert times == sorted(times)
        assert len(times) == 3


@pytest.mark.parametrize("execution", ["chunk", "activities"])
def test_a_long_item_reports_progress_and_stops_when_canceled(stack: Stack, execution: str) -> None:
    parameters = {"seconds_from": 600, "seconds_to": 600}
    plan = {"chunk_size": 1, "execution": execution, "item_timeout": 900}
    batch_id = stack.launch(preset="long-items", items=["slow"], parameters=parameters, plan=plan)

    def note() -> str:
        return str(stack.nodes(batch_id, kind="child")[0]["note"])

    wait_until(lambda: note().startswith("slow: "), "its row says how far it is")
    assert note().endswith("of 600 steps")
    first = note()
    wait_until(lambda: note() not in (first, ""), "it goes on")
    assert stack.api("POST", f"/batches/{batch_id}/cancel").status_code == 202
    stack.wait_for(batch_id, "canceled")  # long before it would have ended by itself
    wait_until(lambda: stack.batch(batch_id)["items"]["canceled"] == 1, f"the item: {stack.batch(batch_id)['items']}")
    assert note() == ""


def test_attempts_of_an_item_that_is_an_activity_include_retries_by_temporal(stack: Stack) -> None:
    plan = {"item_attempts": 3, "item_backoff": 0.1}
    parameters = {**QUICK, "fail_first_attempts": 1}
    batch_id = stack.launch(preset="item-activities", items=ITEMS, key="host", parameters=parameters, plan=plan)
    stack.wait_for(batch_id, "completed")
    items = stack.api("GET", f"/batches/{batch_id}/items?limit=100").json()["results"]
    assert {item["attempts"] for item in items} == {2}
