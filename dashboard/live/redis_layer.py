"""RedisLayer: the channel layer of several web processes. Nobody waits for Redis; while it is away, viewers poll.

Groups and channels are those of one process, in memory. What is sent to a group here goes to the other processes
through one channel of Redis, and a task that listens to it brings theirs.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import socket
import time
from datetime import UTC, datetime
from typing import Any

from channels.layers import InMemoryChannelLayer
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

log = logging.getLogger(__name__)

CHANNEL = "canopy:changes"

TIMEOUT = 1.0
"""Seconds for a connection, and for an answer."""

SEND_TIMEOUT = 0.5
"""Seconds that somebody who reports a change waits at most: less than the doorbell's own limit."""

PROBE_EVERY = 2.0
"""Seconds of silence after which Redis is asked whether it is there; it has as many to answer."""

TRY_AGAIN_AFTER = 1.0
"""Seconds between two tries to reach it."""

LONGEST_VIEW = 10 * 365 * 86_400
"""Seconds for which a viewer stays in a group at most."""

KEEPALIVE = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 2}
"""Seconds, seconds and number of the kernel's own probes, by name of the option."""


class RedisLayer(InMemoryChannelLayer):
    """`away_since` is when Redis stopped answering this process; None while it answers."""

    def __init__(self, url: str, **given: Any) -> None:
        """Take the address: redis://, rediss:// or unix://."""
        super().__init__(group_expiry=LONGEST_VIEW, **given)
        self._url, self._origin = url, secrets.token_hex(8)
        self._home: asyncio.AbstractEventLoop | None = None
        self._listening: asyncio.Task[None] | None = None
        self._client: Redis | None = None
        self._next_try = 0.0
        self.away_since: datetime | None = None

    async def new_channel(self, prefix: str = "specific.") -> str:
        """Return a new channel of this process, and listen to the others from the first one on."""
        loop = asyncio.get_running_loop()
        if self._listening is None or self._listening.done() or self._home is not loop:
            self._home, self._client = loop, None
            self._listening = loop.create_task(self._keep_listening())
        name: str = await super().new_channel(prefix)
        return name

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        """Send to a group of this process, and of all others unless Redis is away. Raises nothing."""
        loop = asyncio.get_running_loop()
        if self._home is loop:
            await super().group_send(group, message)
        elif self._home is not None and self._home.is_running():
            asyncio.run_coroutine_threadsafe(super().group_send(group, message), self._home)
        if time.monotonic() < self._next_try:
            return
        text = json.dumps({"from": self._origin, "group": group, "message": message})
        try:
            async with asyncio.timeout(SEND_TIMEOUT):
                if self._home is loop:
                    self._client = self._client or self._connection()
                    await self._client.publish(CHANNEL, text)
                else:
                    async with self._connection() as own:
                        await own.publish(CHANNEL, text)
        except Exception as error:
            self._note_away(error)
        else:
            if self._listening is None:
                self._note_back()

    async def close(self) -> None:
        """Stop listening, and close what is open."""
        if self._listening is not None and self._home is asyncio.get_running_loop():
            self._listening.cancel()
            await asyncio.wait({self._listening})
        if self._client is not None:
            await self._client.aclose()
        self._listening, self._client = None, None

    async def _keep_listening(self) -> None:
        while True:
            try:
                async with self._connection() as client, client.pubsub() as subscription:
                    await self._listen(subscription)
            except Exception as error:
                self._note_away(error)
            await asyncio.sleep(TRY_AGAIN_AFTER)

    async def _listen(self, subscription: PubSub) -> None:
        """Bring what others send. Raises TimeoutError where Redis is silent for too long, and what redis raises."""
        async with asyncio.timeout(2 * TIMEOUT):
            await subscription.subscribe(CHANNEL)
        is_asked = False
        while True:
            message = await subscription.get_message(timeout=PROBE_EVERY)
            if message is not None:
                is_asked = False
                self._note_back()
                if message["type"] == "message":
                    await self._bring(message["data"])
                continue
            if is_asked:
                raise TimeoutError("Redis does not answer.")
            async with asyncio.timeout(TIMEOUT):
                await subscription.ping()
            is_asked = True

    async def _bring(self, text: bytes) -> None:
        sent = json.loads(text)
        if sent["from"] != self._origin:
            await super().group_send(sent["group"], sent["message"])

    def _connection(self) -> Redis:
        more: dict[str, Any] = {}
        if not self._url.startswith("unix:"):
            options = {getattr(socket, name): value for name, value in KEEPALIVE.items() if hasattr(socket, name)}
            more = {"socket_keepalive": True, "socket_keepalive_options": options}
        once = Retry(NoBackoff(), 0)
        return Redis.from_url(self._url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT, retry=once, **more)

    def _note_away(self, error: Exception) -> None:
        self._next_try = time.monotonic() + TRY_AGAIN_AFTER
        if self.away_since is None:
            self.away_since = datetime.now(UTC)
            log.warning("Redis does not answer: viewers are polled once a second until it does. %r", error)

    def _note_back(self) -> None:
        if self.away_since is not None:
            log.warning("Redis answers again, after %s.", datetime.now(UTC) - self.away_since)
        self.away_since, self._next_try = None, 0.0
