"""Feed: what all lines to one batch are sent, read once for those that have the same revision.

A line that asks while somebody else's reading is under way, or has only just ended, shares that: unless the doorbell
has rung since it began, because then it may not hold what the bell rang for.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.database.threads import in_thread
from dashboard.live import deltas

FRESH = 0.2
"""Seconds for which a reading is shared without a bell."""

BELLS_KEPT = 16
"""Every line hears of each bell, at about the same time."""


@dataclass(frozen=True)
class News:
    """Messages as they are sent, and the revision that they bring a browser to."""

    texts: Sequence[str]
    revision: int


@dataclass(frozen=True)
class _SharedRead:
    task: asyncio.Future[News]
    bells: int
    began: float


class Feed:
    """The lines to one batch in this process."""

    def __init__(self, batch_id: str) -> None:
        self.batch_id = batch_id
        self._bells = 0
        self._heard = deque[str](maxlen=BELLS_KEPT)
        self._readings: dict[int, _SharedRead] = {}
        self.lines = 0

    def ring(self, bell: str) -> None:
        """Note that something has changed: what is being read may not have it. Every line tells of each bell."""
        if bell not in self._heard:
            self._heard.append(bell)
            self._bells += 1

    async def since(self, revision: int) -> News:
        """Return what is newer than a revision."""
        now = asyncio.get_running_loop().time()
        self._readings = {since: each for since, each in self._readings.items() if self._may_share(each, now)}
        if revision not in self._readings:
            task = asyncio.ensure_future(in_thread(_news)(self.batch_id, revision))
            self._readings[revision] = _SharedRead(task, self._bells, now)
        return await asyncio.shield(self._readings[revision].task)

    def _may_share(self, reading: _SharedRead, now: float) -> bool:
        is_fresh = not reading.task.done() or now - reading.began < FRESH
        return is_fresh and reading.bells == self._bells


_feeds: dict[str, Feed] = {}


def join(batch_id: str) -> Feed:
    """Return the feed of a batch for one more line; `leave` it again."""
    feed = _feeds.setdefault(batch_id, Feed(batch_id))
    feed.lines += 1
    return feed


def leave(feed: Feed) -> None:
    """Let a line go, and the feed with the last one."""
    feed.lines -= 1
    if not feed.lines:
        _feeds.pop(feed.batch_id, None)


def _news(batch_id: str, revision: int) -> News:
    messages = list(deltas.deltas(batch_id, revision))
    return News([as_text(each) for each in messages], messages[-1]["revision"] if messages else revision)


def as_text(message: dict[str, Any]) -> str:
    """Return a message as it is sent."""
    return json.dumps(message, separators=(",", ":"))
