"""Websocket consumers, server to browser only: on a change notification, or once a second, they send what is newer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

from channels.generic.websocket import AsyncWebsocketConsumer
from django.utils import timezone

from dashboard.accounts.permissions import may_view
from dashboard.database.threads import in_thread
from dashboard.live import deltas, doorbell, feed, logins
from dashboard.live.feed import as_json
from dashboard.live.logins import UNAUTHENTICATED
from dashboard.metrics import definitions as metrics
from dashboard.models import Batch
from dashboard.server.outages import outage_of
from dashboard.server.requests import whole_number
from orchestration.telemetry import log_context

log = logging.getLogger(__name__)

POLL_EVERY = 1.0
"""Seconds after which the database is polled without a change notification."""

SPACING = 0.02
"""Least seconds between messages, so that changes coalesce."""

DUTY_CYCLE = 2
"""Reading and sending take at most one part in so many of a connection's time: the slower they are, the rarer."""

SPACING_PER_CONNECTION = 0.0025
"""Least seconds between messages per connection to the same batch, which all share one process."""

TICK_AFTER = 5.0
"""Seconds without a message after which a tick shows that the connection is alive."""

CHECK_LOGIN_EVERY = 1.0
"""Seconds between looks at whether the persons of all connections are still logged in and may do as much."""

JOIN_TIMEOUT = 2.0
"""Seconds for joining or leaving the group of a batch's viewers."""

INTERNAL_ERROR = 1011
TRY_AGAIN_LATER = 1013
"""Close codes of a websocket (IANA's registry); those from 4000 on are Canopy's."""

UNKNOWN_BATCH = 4404


class _LiveConsumer(AsyncWebsocketConsumer, ABC):
    """Sends messages in a loop until the browser disconnects. While a send waits, changes coalesce."""

    group = ""
    kind = ""

    async def connect(self) -> None:
        """Accept a logged-in person, or close with a code that says why not."""
        await self.accept()
        code = await self.rejection_code()
        if code is not None:
            await self.close(code)
            return
        await logins.watch(self, self.scope["session"].session_key or "", self.scope["user"], CHECK_LOGIN_EVERY)
        self._changed = asyncio.Event()
        try:
            async with asyncio.timeout(JOIN_TIMEOUT):
                await self.channel_layer.group_add(self.group, self.channel_name)
        except Exception as error:
            log.warning("No change notifications for %s, which is polled once a second: %s", self.group, error)
        metrics.websockets.labels(self.kind).inc()
        self._loop = asyncio.create_task(self._run())

    async def rejection_code(self) -> int | None:
        """Return the close code for a connection that is rejected, else None."""
        return None if may_view(self.scope["user"]) else UNAUTHENTICATED

    @abstractmethod
    async def pending_messages(self) -> Sequence[str]:
        """Return the messages to send now."""

    @property
    def spacing(self) -> float:
        """Least seconds between messages."""
        return SPACING

    def note_sent(self, messages: int) -> None:
        """Count messages that were sent."""
        metrics.websocket_messages.labels(self.kind).inc(messages)

    async def batch_changed(self, event: dict[str, Any]) -> None:
        """Wake the loop."""
        self._changed.set()

    async def end(self, code: int) -> None:
        """Send nothing more, and close the connection."""
        if hasattr(self, "_loop"):
            self._loop.cancel()
        with contextlib.suppress(Exception):
            await self.close(code)

    async def disconnect(self, code: int) -> None:
        """End the loop."""
        logins.forget(self)
        if hasattr(self, "_loop"):
            metrics.websockets.labels(self.kind).dec()
            self._loop.cancel()
            with contextlib.suppress(Exception):
                async with asyncio.timeout(JOIN_TIMEOUT):
                    await self.channel_layer.group_discard(self.group, self.channel_name)

    async def _run(self) -> None:
        """Send messages until an error, after which the browser reconnects."""
        try:
            await self._send_messages()
        except Exception as error:
            if outage_of(error) is None:
                log.exception("The live view of %s ended.", self.group)
                code = INTERNAL_ERROR
            else:
                log.warning("The live view of %s ended for now: %s", self.group, error)
                code = TRY_AGAIN_LATER
            with contextlib.suppress(Exception):
                await self.close(code)

    async def _send_messages(self) -> None:
        clock = asyncio.get_running_loop().time
        last = clock()
        late = doorbell.late_since()
        await self.send(text_data=as_json(deltas.tick(late)))
        while True:
            began = clock()
            texts = list(await self.pending_messages())
            was_late, late = late, doorbell.late_since()
            if late != was_late or (not texts and clock() - last >= TICK_AFTER):
                texts.append(as_json(deltas.tick(late)))
            for text in texts:
                await self.send(text_data=text)
                last = clock()
            self.note_sent(len(texts))
            await asyncio.sleep(max(self.spacing, (DUTY_CYCLE - 1) * (clock() - began)))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_EVERY):
                    await self._changed.wait()
            self._changed.clear()


class BatchConsumer(_LiveConsumer):
    """Deltas of one batch, from the revision that the browser has: /ws/batches/<id>/?revision=41."""

    kind = "batch"
    _changed_at: datetime | None = None
    _is_up_to_date = False

    async def rejection_code(self) -> int | None:
        """Reject who may not view, and unknown batches."""
        code = await super().rejection_code()
        if code is not None:
            return code
        self._batch_id = self.scope["url_route"]["kwargs"]["batch_id"]
        log_context.bind(batch=self._batch_id)
        self.group = doorbell.group_of(self._batch_id)
        given = parse_qs(self.scope["query_string"].decode()).get("revision", [""])[0]
        self._revision = whole_number(given, 0)
        if "\0" in self._batch_id or not await in_thread(Batch.objects.filter(pk=self._batch_id).exists)():
            return UNKNOWN_BATCH
        self._feed = feed.join(self._batch_id)
        return None

    async def disconnect(self, code: int) -> None:
        """End the loop, and leave the feed."""
        await super().disconnect(code)
        if hasattr(self, "_feed"):
            feed.leave(self._feed)

    @property
    def spacing(self) -> float:
        """Least seconds between messages, more with many viewers."""
        return max(SPACING, SPACING_PER_CONNECTION * self._feed.connections)

    async def batch_changed(self, event: dict[str, Any]) -> None:
        """Wake the loop, and end the sharing of what was read before."""
        self._feed.note_change(event["bell"])
        await super().batch_changed(event)

    async def pending_messages(self) -> Sequence[str]:
        """Return the deltas since the revision that was sent last."""
        found = await self._feed.since(self._revision)
        self._revision, self._changed_at = found.revision, found.changed_at
        return found.texts

    def note_sent(self, messages: int) -> None:
        """Count messages, and observe how late the change is that they tell; the first ones tell what was before."""
        super().note_sent(messages)
        if self._changed_at is not None and self._is_up_to_date:
            metrics.websocket_lag.observe(max(0.0, (timezone.now() - self._changed_at).total_seconds()))
        self._changed_at, self._is_up_to_date = None, True


class BatchListConsumer(_LiveConsumer):
    """States of all batches that are open or have just closed."""

    group = doorbell.LIST_GROUP
    kind = "list"

    async def connect(self) -> None:
        """Begin with nothing sent, so that the first message brings every open batch up to date."""
        self._sent: dict[str, int] = {}
        await super().connect()

    async def pending_messages(self) -> Sequence[str]:
        """Return the states of batches that changed."""
        message = await in_thread(deltas.batch_list_delta)(self._sent)
        return [as_json(message)] if message is not None else []
