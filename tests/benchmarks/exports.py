"""Downloads of a million results: the web process's memory while it streams them, against a tenth of them."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
from temporalio.client import Client

from tests.benchmarks.report import Figure
from tests.support.http_browser import http_browser
from tests.support.stack import Stack

FEW, MANY = 100_000, 1_000_000
FORMATS = ("csv", "jsonl", "parquet")
SAMPLE_EVERY = 0.05
"""Seconds between two readings of the memory."""

MORE = """
INSERT INTO dashboard_item
SELECT NULL AS id, {columns} FROM dashboard_item AS item, (
    WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {items} - 1)
    SELECT n FROM numbers
) WHERE item.batch_id = '{batch}' AND item."index" = 0
"""
"""The first item of a batch again and again: what is measured is how they are read, not how they were written."""


def fill(stack: Stack, items: int) -> str:
    """Return a batch with so many items that have completed."""
    batch = stack.launch(processor="simulate", count=1, parameters={"seconds_from": 0, "seconds_to": 0})
    stack.wait_for(batch, "completed")
    with sqlite3.connect(stack.home / "canopy.sqlite3", timeout=60) as database:
        names = [row[1] for row in database.execute("PRAGMA table_info(dashboard_item)") if row[1] != "id"]
        new = {"index": "n", "key": "'account-' || n"}
        columns = ", ".join(new.get(name, f'item."{name}"') for name in names)
        listed = ", ".join(f'"{name}"' for name in names)
        sql = MORE.format(columns=columns, items=items, batch=batch)
        database.execute(
            sql.replace("INTO dashboard_item\nSELECT NULL AS id,", f"INTO dashboard_item ({listed})\nSELECT")
        )
    return batch


def download(stack: Stack, batch: str, format_: str) -> tuple[float, int, int]:
    """Return the seconds that a download takes, its bytes, and the most memory that the web process has meanwhile."""
    process, peak, size = psutil.Process(stack.web.pid), 0, 0
    browser = http_browser(stack)
    began = time.monotonic()
    with browser.stream("GET", f"/batches/{batch}/items.{format_}", timeout=600) as answer:
        answer.raise_for_status()
        sampled = 0.0
        for part in answer.iter_raw():
            size += len(part)
            if time.monotonic() - sampled > SAMPLE_EVERY:
                sampled = time.monotonic()
                peak = max(peak, process.memory_info().rss)
    return time.monotonic() - began, size, peak


async def measure(client: Client, stack: Stack) -> list[Figure]:
    """Download few and many in every format."""
    loop, figures = asyncio.get_running_loop(), list[Figure]()
    with ThreadPoolExecutor(1) as pool:
        few, many = [await loop.run_in_executor(pool, fill, stack, items) for items in (FEW, MANY)]
        for format_ in FORMATS:
            _, _, less = await loop.run_in_executor(pool, download, stack, few, format_)
            seconds, size, most = await loop.run_in_executor(pool, download, stack, many, format_)
            detail = f"{MANY / seconds:,.0f} rows/s, {size / 2**20:.0f} MB, {less / 2**20:.0f} MB with a tenth"
            figures.append(Figure(f"web's memory with 1,000,000 rows as {format_}, in MB", most / 2**20, 400, detail))
            figures.append(Figure(f"the same against 100,000 rows as {format_}", most / less, 1.3))
    return figures
