"""Schedules over HTTP against the running product: created, shown, triggered, paused, edited, deleted, refused."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import httpx
import pytest
from temporalio.client import Client

from orchestration.plan.plan import Plan
from tests.support.forms import QUICK, launch_form, launch_token, schedule_form
from tests.support.http_browser import HttpBrowser, http_browser
from tests.support.stack import VIEWER, Stack
from tests.support.waiting import until, wait_until

SLOW = {"seconds_from": 600, "seconds_to": 600}
OPEN = ("pending", "running", "paused")
RARELY = {"cron": "0 7 * * 1-5", "time_zone": "Europe/Berlin"}


@pytest.fixture
def made(stack: Stack) -> Iterator[list[str]]:
    """Ids of schedules, which are deleted after the test with what they left open."""
    ids: list[str] = []
    yield ids
    for schedule in ids:
        stack.api("DELETE", f"/schedules/{schedule}")
        for batch in batches(stack, schedule):
            stack.api("POST", f"/batches/{batch}/terminate")


def make(stack: Stack, made: list[str], **given: Any) -> dict[str, Any]:
    """Create a schedule over the API."""
    body = {"name": "test", "processor": "simulate", "parameters": QUICK, "count": 2, **given}
    if "interval" not in body:
        body = RARELY | body
    answer = stack.api("POST", "/schedules", body)
    assert answer.status_code == 201, answer.text
    made.append(answer.json()["id"])
    schedule: dict[str, Any] = answer.json()
    return schedule


def tell(stack: Stack, schedule: str) -> dict[str, Any]:
    """Return a schedule from the API."""
    told: dict[str, Any] = stack.api("GET", f"/schedules/{schedule}").raise_for_status().json()
    return told


def batches(stack: Stack, schedule: str) -> list[str]:
    """Return the ids of a schedule's batches as the filtered list shows them, newest first."""
    page = http_browser(stack).get(f"/batches/?schedule={schedule}").text
    return re.findall(r'<tr id="batch-(\w+)"', page)


async def test_a_launch_form_becomes_a_schedule_whose_times_are_temporals(stack: Stack, made: list[str]) -> None:
    browser = http_browser(stack)
    page = browser.submit("/launch/simulate/schedule/", launch_form(label="each morning", text="a\nb\nc"))
    assert page.status_code == 200
    assert "3 items" in page.text
    preview = browser.submit("/schedules/preview/", schedule_form()).text
    filled = schedule_form(launch=launch_token(page.text), note="for the morning shift")
    saved, again = (browser.submit("/schedules/new/", filled) for _ in range(2))
    assert saved.url == again.url, "a double click makes one schedule"
    schedule = saved.url.path.split("/")[2]
    made.append(schedule)
    shown = re.findall(r'<ol class="times">(.*?)</ol>', saved.text, re.DOTALL)[0]
    client = await Client.connect(stack.temporal.address)
    held = await client.get_schedule_handle(f"schedule-{schedule}").describe()
    times = re.findall(r'<time datetime="([^"]+)">', shown)
    assert len(times) == 10
    assert times == re.findall(r'<time datetime="([^"]+)">', preview)
    assert all(said.endswith(("T07:00:00+01:00", "T07:00:00+02:00")) for said in times)
    assert [at.isoformat() for at in held.info.next_action_times] == [_utc(said) for said in times]
    assert held.schedule.state.note == "for the morning shift"
    assert "Every weekday at 07:00 Europe/Berlin" in saved.text
    assert "Nightly" in browser.get("/schedules/").text
    _polls_as_it_changes(browser, saved, lambda: stack.api("POST", f"/schedules/{schedule}/trigger"))
    batch = wait_until(lambda: batches(stack, schedule), "it has launched")[0]
    state = stack.wait_for(batch, "completed")
    assert (state["label"], state["items"]["completed"]) == ("each morning", 3)
    assert state["schedule"] == {"id": schedule, "name": "Nightly"}
    keys = [item["key"] for item in stack.api("GET", f"/batches/{batch}/items").json()["results"]]
    assert keys == ["a", "b", "c"]
    for path in (f"/batches/{batch}/", "/batches/"):
        assert f'by schedule <a href="/schedules/{schedule}/">Nightly</a>' in browser.get(path).text
    assert tell(stack, schedule)["last_batch"] == {"id": batch, "status": "completed"}


def _polls_as_it_changes(browser: HttpBrowser, page: httpx.Response, change: Callable[[], Any]) -> None:
    """Check that what the page polls is empty until something has changed."""
    found = re.search(r'hx-get="([^"]+\?mark=\w+)"', page.text)
    assert found
    address = found[1]
    assert browser.get(address, headers={"HX-Request": "true"}).status_code == 204
    change()
    wait_until(lambda: browser.get(address, headers={"HX-Request": "true"}).status_code == 200, "it has changed")


def _at(said: str) -> datetime:
    return datetime.fromisoformat(said)


def _utc(said: str) -> str:
    return _at(said).astimezone(UTC).isoformat()


def test_an_interval_with_skip_never_has_two_open_batches(stack: Stack, made: list[str]) -> None:
    slow = {"seconds_from": 1.5, "seconds_to": 1.5}
    schedule = make(stack, made, interval=1, parameters=slow, count=1, overlap="skip")["id"]
    most = 0

    def has_launched_three() -> bool:
        nonlocal most
        states = [stack.batch(batch)["status"] for batch in batches(stack, schedule)]
        most = max(most, sum(status in OPEN for status in states))
        return len(states) >= 3

    wait_until(has_launched_three, "three batches are launched")
    stack.api("POST", f"/schedules/{schedule}/pause")
    held = tell(stack, schedule)["temporal"]
    times = [stack.wait_for(batch, "completed") for batch in reversed(batches(stack, schedule))]
    assert most == 1
    assert all(_at(first["closed_at"]) <= _at(second["opened_at"]) for first, second in pairwise(times))
    assert held["skipped"] >= 1


def test_cancel_other_cancels_the_open_batch_before_the_next(stack: Stack, made: list[str]) -> None:
    schedule = make(stack, made, parameters=SLOW, overlap="cancel_other")["id"]
    first = _trigger(stack, schedule, 1)
    stack.wait_for(first, "running")
    second = _trigger(stack, schedule, 2)
    canceled = stack.wait_for(first, "canceled")
    assert _at(canceled["closed_at"]) <= _at(stack.wait_for(second, "running")["opened_at"])
    assert "as the overlap policy says" in http_browser(stack).get(f"/batches/{first}/").text


def test_terminate_other_terminates_the_open_batch(stack: Stack, made: list[str]) -> None:
    schedule = make(stack, made, parameters=SLOW, overlap="terminate_other")["id"]
    first = _trigger(stack, schedule, 1)
    stack.wait_for(first, "running")
    second = _trigger(stack, schedule, 2)
    stack.wait_for(first, "terminated")
    stack.wait_for(second, "running")
    assert "as the overlap policy says" in http_browser(stack).get(f"/batches/{first}/").text


@pytest.mark.parametrize(("overlap", "launched", "seconds"), [("buffer_one", 2, 15), ("buffer_all", 4, 3)])
def test_buffered_launches_run_after_the_open_batch(
    stack: Stack, made: list[str], overlap: str, launched: int, seconds: int
) -> None:
    lasting = {"seconds_from": seconds, "seconds_to": seconds}
    schedule = make(stack, made, parameters=lasting, count=1, overlap=overlap)["id"]
    stack.wait_for(_trigger(stack, schedule, 1), "running")
    for _ in range(3):
        assert stack.api("POST", f"/schedules/{schedule}/trigger").status_code == 202

    def all_have_run() -> bool:
        found = [stack.batch(batch) for batch in batches(stack, schedule)]
        return len(found) >= launched and all(state["status"] == "completed" for state in found)

    wait_until(all_have_run, f"{launched} batches have run")
    times = [stack.batch(batch) for batch in reversed(batches(stack, schedule))]
    assert len(times) == launched
    assert all(_at(first["closed_at"]) <= _at(second["opened_at"]) for first, second in pairwise(times))


def test_allow_all_runs_batches_side_by_side(stack: Stack, made: list[str]) -> None:
    schedule = make(stack, made, parameters=SLOW, overlap="allow_all")["id"]
    every = [_trigger(stack, schedule, number) for number in (1, 2, 3, 4)]
    assert {stack.wait_for(batch, "running")["status"] for batch in every} == {"running"}


def _trigger(stack: Stack, schedule: str, number: int) -> str:
    """Trigger and return the new batch, the `number`th."""
    answer = stack.api("POST", f"/schedules/{schedule}/trigger")
    assert answer.status_code == 202, answer.text
    return wait_until(
        lambda: found[0] if len(found := batches(stack, schedule)) == number else "", f"batch {number} is launched"
    )


def test_a_trigger_that_the_policy_would_skip_is_refused(stack: Stack, made: list[str]) -> None:
    schedule = make(stack, made, parameters=SLOW)["id"]
    _trigger(stack, schedule, 1)
    answer = stack.api("POST", f"/schedules/{schedule}/trigger")
    assert (answer.status_code, "still open" in answer.json()["detail"]) == (409, True)


def test_pause_and_resume(stack: Stack, made: list[str]) -> None:
    schedule = make(stack, made, interval=1, count=1, note="kept")["id"]
    wait_until(lambda: batches(stack, schedule), "it launches")
    browser = http_browser(stack)
    page = browser.submit(f"/schedules/{schedule}/pause/", {}).text
    assert "Paused: nothing launches until you resume it." in page
    held = tell(stack, schedule)["temporal"]
    assert (held["paused"], held["note"]) == (True, "kept")
    wait_until(lambda: tell(stack, schedule)["temporal"]["running"] == 0, "what was launched has ended")
    before = tell(stack, schedule)["temporal"]["launched"]
    # The only proof that nothing comes is time: three of its intervals.
    wait_until(_seconds_pass(3.2), "three times have passed")
    assert tell(stack, schedule)["temporal"]["launched"] == before
    browser.submit(f"/schedules/{schedule}/resume/", {})
    wait_until(lambda: tell(stack, schedule)["temporal"]["launched"] > before, "it launches again")
    entries = browser.get(f"/schedules/{schedule}/").text
    for action in ("make", "pause", "resume"):
        assert f"<b>operator</b> {action}" in entries


def _seconds_pass(seconds: float) -> Any:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


async def test_delete_removes_it_from_temporal_and_keeps_its_batches(stack: Stack, made: list[str]) -> None:
    schedule = make(stack, made)["id"]
    batch = _trigger(stack, schedule, 1)
    browser = http_browser(stack)
    page = browser.submit(f"/schedules/{schedule}/delete/", {}).text
    assert "Deleted. Its batches are kept." in page
    client = await Client.connect(stack.temporal.address)

    async def is_gone() -> bool:
        return f"schedule-{schedule}" not in [each.id async for each in await client.list_schedules()]

    await until(is_gone, "Temporal has deleted it")
    assert stack.api("GET", f"/schedules/{schedule}").status_code == 404
    assert schedule not in [each["id"] for each in stack.api("GET", "/schedules").json()]
    assert stack.batch(batch)["schedule"]["id"] == schedule
    assert stack.api("POST", f"/schedules/{schedule}/trigger").status_code == 404
    assert browser.submit(f"/schedules/{schedule}/trigger/", {}).text.count("This schedule was deleted.") == 1


def test_edit_changes_the_timing_and_not_the_launch(stack: Stack, made: list[str]) -> None:
    schedule = make(stack, made, paused=True)["id"]
    answer = stack.api("PATCH", f"/schedules/{schedule}", {"interval": 7200, "overlap": "buffer_one"}).json()
    held = answer["temporal"]
    assert (held["cron"], held["interval"], held["overlap"], held["paused"]) == (None, 7200, "buffer_one", True)
    browser = http_browser(stack)
    form_page = browser.get(f"/schedules/{schedule}/edit/").text
    assert 'value="2"' in form_page
    given = schedule_form(repeat="weekly", days=["1", "3"], at="09:30", name="Renamed", overlap="allow_all")
    page = browser.submit(f"/schedules/{schedule}/edit/", given).text
    assert "Every Monday, Wednesday at 09:30 Europe/Berlin" in page
    assert "Renamed" in page
    assert "overlap: buffer_one → allow_all" in page.replace("&gt;", ">")
    after = tell(stack, schedule)
    assert (after["temporal"]["cron"], after["items"], after["processor"]) == ("30 9 * * 1,3", 2, "simulate")


def test_a_viewer_sees_and_does_nothing(stack: Stack, made: list[str]) -> None:
    schedule = make(stack, made)["id"]
    browser = http_browser(stack, VIEWER)
    assert browser.get(f"/schedules/{schedule}/").status_code == 200
    assert "Trigger now" not in browser.get(f"/schedules/{schedule}/").text
    for action in ("pause", "resume", "trigger", "delete", "edit"):
        assert browser.submit(f"/schedules/{schedule}/{action}/", schedule_form()).status_code == 403
    assert browser.submit("/schedules/preview/", schedule_form()).status_code == 403
    assert browser.submit("/schedules/new/", schedule_form()).status_code == 403
    assert browser.submit("/launch/simulate/schedule/", launch_form()).status_code == 403
    headers = {"X-CSRFToken": browser.cookies["csrftoken"]}
    for method, path in (("POST", "/trigger"), ("POST", "/pause"), ("POST", "/resume"), ("DELETE", ""), ("PATCH", "")):
        answer = browser.request(method, f"/api/v1/schedules/{schedule}{path}", headers=headers, json={})
        assert answer.status_code == 403, f"{method} {path}"
    assert browser.get(f"/api/v1/schedules/{schedule}").status_code == 200
    assert tell(stack, schedule)["temporal"]["paused"] is False


async def test_a_schedule_that_temporal_lost_shows_an_error(stack: Stack, made: list[str]) -> None:
    schedule = make(stack, made)["id"]
    client = await Client.connect(stack.temporal.address)
    await client.get_schedule_handle(f"schedule-{schedule}").delete()
    browser = http_browser(stack)
    wait_until(lambda: tell(stack, schedule)["temporal"] is None, "Temporal has lost it")
    assert "it was deleted there" in browser.get(f"/schedules/{schedule}/").text
    assert "deleted in Temporal" in browser.get("/schedules/").text
    assert stack.api("POST", f"/schedules/{schedule}/pause").status_code == 409
    assert stack.api("DELETE", f"/schedules/{schedule}").status_code == 204


def test_a_launch_that_is_no_longer_valid_shows_an_error_on_the_page(stack: Stack, made: list[str]) -> None:
    schedule = make(stack, made, items=["a", "b"], count=None)["id"]
    for file in (stack.home / "uploads").rglob("*.items"):
        file.unlink()
    stack.api("POST", f"/schedules/{schedule}/trigger")
    page = wait_until(
        lambda: text if "The launch at" in (text := http_browser(stack).get(f"/schedules/{schedule}/").text) else "",
        "the failure shows",
    )
    assert "Nothing was launched: The file with its items no longer exists." in page
    wait_until(lambda: tell(stack, schedule)["temporal"]["running"] == 0, "nothing waits for it")
    assert batches(stack, schedule) == []


@pytest.mark.parametrize("over_items", [True, False])
def test_a_saved_definition_is_scheduled_from_its_form_and_over_the_api(
    stack: Stack, made: list[str], over_items: bool
) -> None:
    step = {"processor": "simulate", "parameters": QUICK}
    steps = [{"name": "each", "fan_out": step}] if over_items else [{"name": "one", "run": step}]
    given = {"name": f"scheduled {secrets.token_hex(4)}", "text": json.dumps({"kind": "steps", "steps": steps})}
    version = stack.api("POST", "/definitions", given).json()["newest"]["id"]
    browser = http_browser(stack)
    items = launch_form(text="a\nb") if over_items else {"label": "", "idempotency_key": secrets.token_hex(4)}
    options = {f"plan-{name}": value for name, value in Plan().model_dump(mode="json").items() if value is not None}
    page = browser.submit(f"/launch/definition/{version}/schedule/", options | items)
    assert page.status_code == 200, page.text
    saved = browser.submit("/schedules/new/", schedule_form(name="Saved", launch=launch_token(page.text)))
    schedule = saved.url.path.split("/")[2]
    made.append(schedule)
    assert f"/launch/definition/?definition={version}" in saved.text
    body = {"name": "api", "definition": version, **RARELY, **({"items": ["x"]} if over_items else {})}
    answer = stack.api("POST", "/schedules", body)
    assert answer.status_code == 201, answer.text
    made.append(answer.json()["id"])
    for each, count in ((schedule, 2), (made[1], 1)):
        batch = _trigger(stack, each, 1)
        state = stack.wait_for(batch, "completed")
        assert (state["items"]["completed"], state["schedule"]["id"]) == (count if over_items else 0, each)
