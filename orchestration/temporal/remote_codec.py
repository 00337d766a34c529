"""A codec server: payloads are encoded and decoded by a company's own, over HTTP as Temporal's command line does it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import httpx
from google.protobuf.json_format import MessageToJson, Parse, ParseError
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.converter import PayloadCodec

from orchestration.network.authorities import tls_context
from orchestration.network.proxies import proxy_for

TIMEOUT = 10.0
"""Seconds for one call. A workflow task that waits longer for its payloads fails, and is tried again."""


class CodecFailed(Exception):
    """The codec server did not answer, or not with payloads. A retry may succeed."""


@dataclass(frozen=True)
class CodecServer:
    """What a person calls its setting, its address, which may contain {namespace}, and its Authorization header."""

    named: str = field(compare=False)
    endpoint: str
    auth: str = field(default="", repr=False)


class RemoteCodec(PayloadCodec):
    """Sends what goes through Temporal to a codec server, all payloads of one message in one request."""

    def __init__(self, server: CodecServer, namespace: str) -> None:
        self._endpoint = server.endpoint.replace("{namespace}", namespace)
        self._headers = {"Content-Type": "application/json", "X-Namespace": namespace}
        if server.auth:
            self._headers["Authorization"] = server.auth
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncClient] = WeakKeyDictionary()

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Return the payloads encoded. Raises CodecFailed."""
        return await self._changed("encode", payloads)

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Return the payloads decoded. Raises CodecFailed."""
        return await self._changed("decode", payloads)

    async def _changed(self, how: str, payloads: Sequence[Payload]) -> list[Payload]:
        if not payloads:
            return []
        url = f"{self._endpoint}/{how}"
        try:
            answer = await self._client().post(url, content=MessageToJson(Payloads(payloads=payloads)))
            answer.raise_for_status()
            found = list(Parse(answer.content, Payloads()).payloads)
        except (httpx.HTTPError, ParseError, UnicodeDecodeError) as error:
            reason = str(error) or type(error).__name__
            raise CodecFailed(f"The codec server did not {how} ({url}): {reason}") from error
        if len(found) != len(payloads):
            raise CodecFailed(f"The codec server returned {len(found)} payloads for {len(payloads)} ({url}).")
        return found

    def _client(self) -> httpx.AsyncClient:
        """Return the client of this event loop, which keeps its connections."""
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            url = httpx.URL(self._endpoint)
            self._clients[loop] = httpx.AsyncClient(
                headers=self._headers,
                timeout=TIMEOUT,
                verify=tls_context(),
                proxy=proxy_for(url.scheme, url.host, url.port),
                trust_env=False,
            )
        return self._clients[loop]
