"""All numbers of a batch page are of one revision, in every frame of a run, and Home says the same of it."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import expect

from tests.support.browser import NewPage, until_live
from tests.support.stack import Stack
from tests.support.waiting import until

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ITEMS = 2_000
READINGS = 200

READ = """
async (wanted) => {
  const page = document.getElementById("batch");
  const number = (text) => Number((text ?? "0").replace(/[^0-9]/g, ""));
  const each = (selector) => [...document.querySelectorAll(selector)];
  const all = (selector) => [...new Set(each(selector).map((element) => number(element.textContent)))];
  const statuses = ["pending", "running", "completed", "failed"];
  const places = (status) => [
    `.strip [data-count="${status}"][data-of="children"]`,
    `#tree .chip b[data-count="${status}"]`,
    `#map b[data-count="${status}"]`,
  ];
  const bar = (status) => document.querySelector(`.strip [data-bar="progress"] rect.${status}`).getAttribute("width");
  const read = () => {
    const root = document.querySelector("tr[data-kind='root'] [data-field='error']").textContent;
    const badges = each("h1 .badge, tr[data-kind='root'] .status");
    return {
      revision: number(page.dataset.revision),
      places: statuses.map((status) => places(status).filter((place) => each(place).length).length),
      children: Object.fromEntries(statuses.map((status) => [status, all(places(status).join())])),
      failedInRoot: number(root.match(/[0-9,]+(?= failed)/)?.[0]),
      failures: all("[data-failures]"),
      items: all(".strip [data-count='completed'][data-of='progress']"),
      bar: ["completed", "failed"].map((status) => Math.round(2 * Number(bar(status)))),
      status: [...new Set(badges.map((badge) => badge.dataset.status))],
    };
  };
  const home = async () => {
    const answer = await fetch("/");
    const seen = new DOMParser().parseFromString(await answer.text(), "text/html");
    const row = seen.getElementById(`batch-${location.pathname.split("/")[2]}`);
    const width = (status) => Math.round(2 * Number(row.querySelector(`rect.${status}`).getAttribute("width")));
    return {
      revision: number(row.dataset.revision),
      items: [number(row.querySelector(".progress span").textContent.split(" of ")[0])],
      bar: ["completed", "failed"].map(width),
      status: [row.querySelector(".state .badge").dataset.status],
    };
  };
  const readings = [];
  const homes = [];
  while (readings.length < wanted) {
    if (readings.length % 20 === 0) homes.push(home());
    const before = readings.at(-1)?.revision;
    const until = performance.now() + 250;
    do await new Promise(requestAnimationFrame);
    while (number(page.dataset.revision) === before && performance.now() < until);
    readings.push(read());
  }
  return [readings, await Promise.all(homes)];
}
"""
"""Reads every number in one frame: at each revision, or after a quarter of a second without one; at every twentieth
it asks for Home too.
"""


def assert_one(reading: dict[str, Any]) -> None:
    """Compare all numbers of one frame; of 2,000 items in children of five."""
    children = reading["children"]
    assert reading["places"] == [3] * 4, "header, filters and map have every status"
    assert all(len(found) == 1 for found in children.values()), f"header, filters and map differ: {reading}"
    assert [reading["failedInRoot"]] == children["failed"], f"the root's row differs: {reading}"
    completed, failed = reading["bar"]
    assert reading["items"] == [completed], f"the bar differs: {reading}"
    assert reading["failures"] == [failed], f"the errors differ: {reading}"
    assert len(reading["status"]) == 1, f"header and root differ: {reading}"
    assert sum(found[0] for found in children.values()) == ITEMS / 5, f"children are lost or counted twice: {reading}"


def assert_same(homes: list[dict[str, Any]], readings: list[dict[str, Any]]) -> None:
    """Compare what Home said of the batch with what its page said at the same revision, where that was read."""
    pages = {reading["revision"]: reading for reading in readings}
    for home in homes:
        seen = pages.get(home["revision"], home)
        assert home == {name: seen[name] for name in home}, f"Home differs: {home}, {seen}"


async def test_every_number_is_of_one_revision_in_each_frame_of_a_run(stack: Stack, new_page: NewPage) -> None:
    parameters = {"seconds_from": 0.01, "seconds_to": 0.1, "fail_percent": 2, "seed": 3}
    plan = {"chunk_size": 5, "item_attempts": 1, "window": 40}
    batch = stack.launch_held(processor="simulate", parameters=parameters, count=ITEMS, plan=plan)
    page = await new_page(stack, f"/batches/{batch}/")
    await until_live(page)
    stack.approve(batch)
    readings, homes = await page.evaluate(READ, READINGS)
    for reading in readings:
        assert_one(reading)
    assert_same(homes, readings)
    assert len({reading["revision"] for reading in readings}) > 5, "it was read while it changed"  # slowly where busy
    await expect(page.locator("h1 .badge")).to_have_text("Partially failed")
    last: dict[str, Any] = {}

    async def home_agrees() -> bool:
        nonlocal last
        [last], [home] = await page.evaluate(READ, 1)
        assert_one(last)
        assert_same([home], [last])
        return bool(home["revision"] == last["revision"])

    await until(home_agrees, "Home and the page have the last revision")
    assert last["failures"] != [0], "some have failed, and every place says how many"
