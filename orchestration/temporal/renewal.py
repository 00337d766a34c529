"""A client stays current: API keys, certificates and metadata are read again, so that none has to be restarted."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from temporalio.client import Client
from temporalio.service import RPCError

from orchestration.temporal.connection import CONNECT_TIMEOUT, Connection, connect, read_again
from orchestration.temporal.refusals import brief, refusal_of

log = logging.getLogger(__name__)

READ_EVERY = 10.0
"""Seconds. Those who rotate a key keep the old one valid for longer."""


class Renewal:
    """What a client is connected with, compared with what its files say now, every READ_EVERY."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._read_at = time.monotonic()

    def is_due(self) -> bool:
        """Whether it is time to read the files again."""
        return self.connection.source is not None and time.monotonic() - self._read_at > READ_EVERY

    async def latest(self) -> Connection:
        """Read the files, and return what a client is to be connected with from now on."""
        self._read_at = time.monotonic()
        self.connection = self._acceptable(await asyncio.to_thread(read_again, self.connection))
        return self.connection

    async def renewed(self, client: Client) -> Client:
        """Give a client the key and metadata of now; return another one where its certificates are others.

        The same client is returned where nothing changed, or while the new certificates do not work.
        """
        self._read_at = time.monotonic()
        before = self.connection
        now = self._acceptable(await asyncio.to_thread(read_again, before))
        if now == before:
            return client
        if now.tls != before.tls:
            return await self._connected_anew(client, now)
        client.api_key, client.rpc_metadata = now.api_key or None, dict(now.metadata)
        self.connection = now
        log.info("The credentials for Temporal were read again.")
        return client

    async def _connected_anew(self, client: Client, now: Connection) -> Client:
        config = client.service_client.config
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                anew = await connect(now, runtime=config.runtime, retry=config.retry_config)
        except (RPCError, RuntimeError, OSError) as error:
            reason = refusal_of(error, now) or f"Can't reach Temporal ({brief(error)})"
            log.warning("%s, with what was read again: the client keeps its former certificates.", reason)
            return client
        self.connection = now
        log.info("Connected to Temporal with the certificates as they are now.")
        return anew

    def _acceptable(self, now: Connection) -> Connection:
        """Return a connection without a change of where Temporal is, which takes effect at the next start."""
        before = self.connection
        return replace(now, address=before.address, namespace=before.namespace, codec=before.codec)


class HoldsClient(Protocol):
    """A worker, or what else has a client to call Temporal with."""

    client: Client


async def keep_current(client: Client, connection: Connection, holders: Sequence[HoldsClient]) -> None:
    """Renew a client until canceled, and give its holders another one where its certificates have changed."""
    renewal = Renewal(connection)
    while connection.source is not None:
        await asyncio.sleep(READ_EVERY)
        renewed = await renewal.renewed(client)
        if renewed is not client:
            client = renewed
            for holder in holders:
                holder.client = client
