"""Schedules over HTTP against the running product: created, shown, triggered, paused, edited, deleted, refused."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from temporalio.client import Client

from orchestration.plan.plan import Plan
from tests.support.forms import QUICK, launch_form, launch_token, schedule_form
from tests.support.http_browser import HttpBrowser, http_browser
from tests.support.schedules import RARELY, batches_of, create_schedule, distant_hour, read_schedule, trigger
from tests.support.stack import VIEWER, Stack
from tests.support.waiting import until, wait_until


async def test_a_launch_form_becomes_a_schedule_whose_times_are_temporals(stack: Stack, created: list[str]) -> None:
    browser, hour = http_browser(stack), distant_hour("Europe/Berlin")
    page = browser.submit("/launch/simulate/schedule/", launch_form(label="each morning", text="a\nb\nc"))
    assert page.status_code == 200
    assert "3 items" in page.text
    preview = browser.submit("/schedules/preview/", schedule_form(at=f"{hour}:00")).text
    filled = schedule_form(launch=launch_token(page.text), note="for the morning shift", at=f"{hour}:00")
    saved, again = (browser.submit("/schedules/new/", filled) for _ in range(2))
    assert saved.url == again.url, "a double click makes one schedule"
    schedule = saved.url.path.split("/")[2]
    created.append(schedule)
    shown = re.findall(r'<ol class="times">(.*?)</ol>', saved.text, re.DOTALL)[0]
    client = await Client.connect(stack.temporal.address)
    held = await client.get_schedule_handle(f"schedule-{schedule}").describe()
    times = re.findall(r'<time datetime="([^"]+)">', shown)
    assert len(times) == 10
    assert times == re.findall(r'<time datetime="([^"]+)">', preview)
    assert all(said.endswith((f"T{hour}:00:00+01:00", f"T{hour}:00:00+02:00")) for said in times)
    assert [at.isoformat() for at in held.info.next_action_times] == [_utc(said) for said in times]
    assert held.schedule.state.note == "for the morning shift"
    assert f"Every weekday at {hour}:00 Europe/Berlin" in saved.text
    assert "Nightly" in browser.get("/schedules/").text
    _polls_as_it_changes(browser, saved, lambda: stack.api("POST", f"/schedules/{schedule}/trigger"))
    batch = wait_until(lambda: batches_of(stack, schedule), "it has launched")[0]
    state = stack.wait_for(batch, "completed")
    assert (state["label"], state["items"]["completed"]) == ("each morning", 3)
    assert state["schedule"] == {"id": schedule, "name": "Nightly"}
    keys = [item["key"] for item in stack.api("GET", f"/batches/{batch}/items").json()["results"]]
    assert keys == ["a", "b", "c"]
    for path in (f"/batches/{batch}/", "/batches/"):
        assert f'by schedule <a href="/schedules/{schedule}/">Nightly</a>' in browser.get(path).text
    assert read_schedule(stack, schedule)["last_batch"] == {"id": batch, "status": "completed"}


def _polls_as_it_changes(browser: HttpBrowser, page: httpx.Response, change: Callable[[], Any]) -> None:
    """Check that what the page polls is empty until something has changed."""
    found = re.search(r'hx-get="([^"]+\?mark=\w+)"', page.text)
    assert found
    address = found[1]
    assert browser.get(address, headers={"HX-Request": "true"}).status_code == 204
    change()
    wait_until(lambda: browser.get(address, headers={"HX-Request": "true"}).status_code == 200, "it has changed")


def _utc(time: str) -> str:
    return datetime.fromisoformat(time).astimezone(UTC).isoformat()


def test_pause_and_resume(stack: Stack, created: list[str]) -> None:
    schedule = create_schedule(stack, created, interval=1, count=1, note="kept")["id"]
    wait_until(lambda: batches_of(stack, schedule), "it launches")
    browser = http_browser(stack)
    page = browser.submit(f"/schedules/{schedule}/pause/", {}).text
    assert "Paused: nothing launches until you resume it." in page
    held = read_schedule(stack, schedule)["temporal"]
    assert (held["paused"], held["note"]) == (True, "kept")
    wait_until(lambda: read_schedule(stack, schedule)["temporal"]["running"] == 0, "what was launched has ended")
    before = read_schedule(stack, schedule)["temporal"]["launched"]
    # The only proof that nothing comes is time: three of its intervals.
    wait_until(_seconds_pass(3.2), "three times have passed")
    assert read_schedule(stack, schedule)["temporal"]["launched"] == before
    browser.submit(f"/schedules/{schedule}/resume/", {})
    wait_until(lambda: read_schedule(stack, schedule)["temporal"]["launched"] > before, "it launches again")
    entries = browser.get(f"/schedules/{schedule}/").text
    for actor, done in (("operator (first login)", "created"), ("operator", "paused"), ("operator", "resumed")):
        assert f"<b>{actor}</b> {done} the schedule" in entries


def _seconds_pass(seconds: float) -> Any:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


async def test_delete_removes_it_from_temporal_and_keeps_its_batches(stack: Stack, created: list[str]) -> None:
    schedule = create_schedule(stack, created)["id"]
    batch = trigger(stack, schedule, 1)
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


def test_edit_changes_the_timing_and_not_the_launch(stack: Stack, created: list[str]) -> None:
    schedule = create_schedule(stack, created, paused=True)["id"]
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
    after = read_schedule(stack, schedule)
    assert (after["temporal"]["cron"], after["items"], after["processor"]) == ("30 9 * * 1,3", 2, "simulate")


def test_a_viewer_sees_and_does_nothing(stack: Stack, created: list[str]) -> None:
    schedule = create_schedule(stack, created)["id"]
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
    assert read_schedule(stack, schedule)["temporal"]["paused"] is False


async def test_a_schedule_that_temporal_lost_shows_an_error(stack: Stack, created: list[str]) -> None:
    schedule = create_schedule(stack, created)["id"]
    client = await Client.connect(stack.temporal.address)
    await client.get_schedule_handle(f"schedule-{schedule}").delete()
    browser = http_browser(stack)
    wait_until(lambda: read_schedule(stack, schedule)["temporal"] is None, "Temporal has lost it")
    assert "it was deleted there" in browser.get(f"/schedules/{schedule}/").text
    assert "deleted in Temporal" in browser.get("/schedules/").text
    assert stack.api("POST", f"/schedules/{schedule}/pause").status_code == 409
    assert stack.api("DELETE", f"/schedules/{schedule}").status_code == 204


def test_a_launch_that_is_no_longer_valid_shows_an_error_on_the_page(stack: Stack, created: list[str]) -> None:
    schedule = create_schedule(stack, created, items=["a", "b"], count=None)["id"]
    for file in (stack.home / "uploads").rglob("*.items"):
        file.unlink()
    stack.api("POST", f"/schedules/{schedule}/trigger")
    page = wait_until(
        lambda: text if "The launch at" in (text := http_browser(stack).get(f"/schedules/{schedule}/").text) else "",
        "the failure shows",
    )
    assert "Nothing was launched: The file with its items no longer exists." in page
    wait_until(lambda: read_schedule(stack, schedule)["temporal"]["running"] == 0, "nothing waits for it")
    assert batches_of(stack, schedule) == []


@pytest.mark.parametrize("over_items", [True, False])
def test_a_saved_definition_is_scheduled_from_its_form_and_over_the_api(
    stack: Stack, created: list[str], over_items: bool
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
    created.append(schedule)
    assert f"/launch/definition/?definition={version}" in saved.text
    body = {"name": "api", "definition": version, **RARELY, **({"items": ["x"]} if over_items else {})}
    answer = stack.api("POST", "/schedules", body)
    assert answer.status_code == 201, answer.text
    created.append(answer.json()["id"])
    for each, count in ((schedule, 2), (created[1], 1)):
        batch = trigger(stack, each, 1)
        state = stack.wait_for(batch, "completed")
        assert (state["items"]["completed"], state["schedule"]["id"]) == (count if over_items else 0, each)
