"""Websocket consumers, server to browser only: they wait for a doorbell or a second, and send what is newer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs

from channels.auth import get_user
from channels.generic.websocket import AsyncWebsocketConsumer
from django.contrib.sessions.backends.db import SessionStore

from dashboard.accounts.permissions import may_view
from dashboard.database.threads import in_thread
from dashboard.live import deltas, doorbell, feed
from dashboard.live.feed import as_text
from dashboard.models import Batch
from dashboard.server.requests import whole_number

log = logging.getLogger(__name__)

LOOK_EVERY = 1.0
"""Seconds after which the database is looked at without a doorbell."""

PAUSE = 0.02
"""Seconds between messages at least, so that changes coalesce."""

SHARE = 2
"""Reading and sending take at most one in so much of a connection's time: where they are slow, news wait for longer."""

PAUSE_PER_LINE = 0.0025
"""Seconds more for each line to the same batch: sending takes its time, and all of them together have one process."""

TICK_AFTER = 5.0
"""Seconds of silence after which a tick says that the line is alive."""

CHECK_LOGIN_EVERY = 30.0
"""Seconds after which somebody who logged out, or was locked out, is sent nothing more."""

BROKEN = 1011
UNAUTHENTICATED = 4401
UNKNOWN_BATCH = 4404


class _LiveConsumer(AsyncWebsocketConsumer, ABC):
    """A loop that sends news until the browser goes. A send waits for a slow browser, and news coalesce meanwhile."""

    group = ""

    async def connect(self) -> None:
        """Accept a logged-in person, or close with a code that says why not."""
        await self.accept()
        code = await self.refusal()
        if code is not None:
            await self.close(code)
            return
        self._bell = asyncio.Event()
        try:
            await self.channel_layer.group_add(self.group, self.channel_name)
        except Exception as error:
            log.warning("No bell for %s, which looks once a second: %s", self.group, error)
        self._loop = asyncio.create_task(self._run())

    async def refusal(self) -> int | None:
        """Return the close code for a connection that is not let in."""
        return None if may_view(self.scope["user"]) else UNAUTHENTICATED

    @abstractmethod
    async def news(self) -> Sequence[str]:
        """Return the messages to be sent now."""

    @property
    def pause(self) -> float:
        """Seconds between messages at least."""
        return PAUSE

    async def batch_changed(self, event: dict[str, Any]) -> None:
        """Ring."""
        self._bell.set()

    async def disconnect(self, code: int) -> None:
        """End the loop."""
        if hasattr(self, "_loop"):
            self._loop.cancel()
            with contextlib.suppress(Exception):
                await self.channel_layer.group_discard(self.group, self.channel_name)

    async def _run(self) -> None:
        """Send news until the person may not see them any more, or something breaks: the browser then comes again."""
        try:
            await self._send_news()
        except Exception:
            log.exception("The live view of %s ended.", self.group)
            code = BROKEN
        else:
            code = UNAUTHENTICATED
        with contextlib.suppress(Exception):
            await self.close(code)

    async def _send_news(self) -> None:
        clock = asyncio.get_running_loop().time
        last = checked = clock()
        await self.send(text_data=as_text(deltas.tick()))
        while True:
            if clock() - checked >= CHECK_LOGIN_EVERY:
                if not await self._is_still_let_in():
                    return
                checked = clock()
            began = clock()
            texts = await self.news()
            for text in texts or ([as_text(deltas.tick())] if clock() - last >= TICK_AFTER else []):
                await self.send(text_data=text)
                last = clock()
            await asyncio.sleep(max(self.pause, (SHARE - 1) * (clock() - began)))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY):
                    await self._bell.wait()
            self._bell.clear()

    async def _is_still_let_in(self) -> bool:
        """Whether the session and its person are still good: the scope has them as they were at connect."""
        session = SessionStore(self.scope["session"].session_key)
        return may_view(await get_user({"session": session}))


class BatchConsumer(_LiveConsumer):
    """News of one batch, from the revision that the browser names: /ws/batches/<id>/?revision=41."""

    async def refusal(self) -> int | None:
        """Refuse strangers and unknown batches."""
        refused = await super().refusal()
        if refused is not None:
            return refused
        self._batch_id = self.scope["url_route"]["kwargs"]["batch_id"]
        self.group = doorbell.group_of(self._batch_id)
        given = parse_qs(self.scope["query_string"].decode()).get("revision", [""])[0]
        self._revision = whole_number(given, 0)
        if not await Batch.objects.filter(pk=self._batch_id).aexists():
            return UNKNOWN_BATCH
        self._feed = feed.join(self._batch_id)
        return None

    async def disconnect(self, code: int) -> None:
        """End the loop, and leave the others."""
        await super().disconnect(code)
        if hasattr(self, "_feed"):
            feed.leave(self._feed)

    @property
    def pause(self) -> float:
        """Seconds between messages at least: more where many look."""
        return max(PAUSE, PAUSE_PER_LINE * self._feed.lines)

    async def batch_changed(self, event: dict[str, Any]) -> None:
        """Ring, also for what others are reading."""
        self._feed.ring(event["bell"])
        await super().batch_changed(event)

    async def news(self) -> Sequence[str]:
        """Return the deltas since the revision that was sent last."""
        found = await self._feed.since(self._revision)
        self._revision = found.revision
        return found.texts


class BatchListConsumer(_LiveConsumer):
    """News of all batches that are open or closed a moment ago."""

    group = doorbell.LIST_GROUP

    async def connect(self) -> None:
        """Start from nothing sent: the first message brings every open batch up to date."""
        self._sent: dict[str, int] = {}
        await super().connect()

    async def news(self) -> Sequence[str]:
        """Return the states of batches that changed."""
        message = await in_thread(deltas.list_delta)(self._sent)
        return [as_text(message)] if message is not None else []
