"""Feed: the messages of one batch, read once for all connections that have the same revision.

A connection shares a read that another one has begun, or has only just finished, unless the batch has changed since
that read began, which may then lack the change.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dashboard.database.threads import in_thread
from dashboard.live import deltas

FRESH = 0.2
"""Seconds for which a read is shared if there is no change."""

CHANGES_KEPT = 16
"""Changes that are remembered: every connection reports each one, at about the same time."""


@dataclass(frozen=True)
class Messages:
    """Messages as they are sent, the revision that they bring a browser to, and when that was made."""

    texts: Sequence[str]
    revision: int
    changed_at: datetime | None = None


@dataclass(frozen=True)
class _SharedRead:
    task: asyncio.Future[Messages]
    changes: int
    started: float


class Feed:
    """The connections to one batch in this process."""

    def __init__(self, batch_id: str) -> None:
        self.batch_id = batch_id
        self._changes = 0
        self._known_changes = deque[str](maxlen=CHANGES_KEPT)
        self._reads: dict[int, _SharedRead] = {}
        self.connections = 0

    def note_change(self, change: str) -> None:
        """End the sharing of current reads, which may lack a change. Every connection reports its id."""
        if change not in self._known_changes:
            self._known_changes.append(change)
            self._changes += 1

    async def since(self, revision: int) -> Messages:
        """Return what is newer than a revision."""
        now = asyncio.get_running_loop().time()
        self._reads = {since: each for since, each in self._reads.items() if self._may_share(each, now)}
        if revision not in self._reads:
            task = asyncio.ensure_future(in_thread(_read_messages)(self.batch_id, revision))
            self._reads[revision] = _SharedRead(task, self._changes, now)
        return await asyncio.shield(self._reads[revision].task)

    def _may_share(self, read: _SharedRead, now: float) -> bool:
        is_fresh = not read.task.done() or now - read.started < FRESH
        return is_fresh and read.changes == self._changes


_feeds: dict[str, Feed] = {}


def join(batch_id: str) -> Feed:
    """Return the feed of a batch for one more connection, which has to `leave` it again."""
    feed = _feeds.setdefault(batch_id, Feed(batch_id))
    feed.connections += 1
    return feed


def leave(feed: Feed) -> None:
    """Remove a connection, and the feed with its last one."""
    feed.connections -= 1
    if not feed.connections:
        _feeds.pop(feed.batch_id, None)


def _read_messages(batch_id: str, revision: int) -> Messages:
    messages = list(deltas.batch_deltas(batch_id, revision))
    if not messages:
        return Messages([], revision)
    last = messages[-1]
    changed_at = datetime.fromisoformat(last["batch"]["changed_at"])
    return Messages([as_json(each) for each in messages], last["revision"], changed_at)


def as_json(message: dict[str, Any]) -> str:
    """Return a message as compact JSON."""
    return json.dumps(message, separators=(",", ":"))
