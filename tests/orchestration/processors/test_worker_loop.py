"""The watchdog over the worker's own event loop names what blocks it."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest

from orchestration.processors import worker_loop
from orchestration.processors.worker_loop import LoopWatch, at_work

WITHIN = 60.0


async def test_what_blocks_the_workers_loop_is_named_in_the_log_and_at_the_item(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(worker_loop, "BLOCKED_AFTER", 0.2)
    said, watch = list[str](), LoopWatch()
    with at_work("web_page", (said.append,)), caplog.at_level(logging.WARNING):
        _block_until(said)
    watch.stop()
    assert len(said) == 1
    assert said[0].startswith("blocks the worker's event loop at test_worker_loop.py:")
    assert "web_page blocks the worker's event loop at test_worker_loop.py:" in caplog.text
    assert asyncio.current_task() not in worker_loop._at_work, "those of other tests aside"


def _block_until(said: list[str]) -> None:
    until = time.monotonic() + WITHIN
    while not said and time.monotonic() < until:
        time.sleep(0.05)
