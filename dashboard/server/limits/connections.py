"""Connections before, between and after requests, which an ASGI application never sees: how many, and how long."""

from __future__ import annotations

import asyncio
import logging
import resource
from typing import Any

from django.conf import settings
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol

from dashboard.server.client_address import is_trusted_proxy

log = logging.getLogger(__name__)

GRACE = 1.0
"""Seconds for what arrived while the event loop was busy."""

SOCKET_MESSAGE_BYTES = 4 * 1024
"""Largest message that a websocket takes: browsers send none."""

SHARE_OF_FILES = 0.8
"""Part of the files that the process may open which connections may take: the rest is for databases and files."""

TIMED_OUT = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class LimitedProtocol(H11Protocol):
    """Closes connections that do not send a request's headers in time, that do not read, or that are too many."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection. Where there are too many, it or one that still sends its request is closed at once."""
        self.since = self.loop.time()
        self._waiting: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._has_sent = False
        super().connection_made(transport)
        self._watch()
        if (rivals := self._rivals()) is not None:
            min(rivals, key=_place_of, default=self).transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take data."""
        self._has_sent = True
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_waiting()
        self._stop_awaiting_reading()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Close the connection once its answer has left: soon, where the client does not read it now."""
        super().shutdown()
        if self._stalled is not None and not self.transport.is_closing():
            self._stop_awaiting_reading()
            left = self.transport.get_write_buffer_size()
            self._stalled = self.loop.call_later(GRACE, self._check_reading, left)

    def pause_writing(self) -> None:
        """Note that the client does not read as fast as it is sent to."""
        super().pause_writing()
        self._await_reading(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """Note that the client reads."""
        super().resume_writing()
        self._stop_awaiting_reading()

    @property
    def is_within_request(self) -> bool:
        """Whether the headers of a request have arrived, and its answer has not left."""
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def is_being_answered(self) -> bool:
        """Whether a request has arrived as a whole, and its answer has not left."""
        return self.is_within_request and (self.cycle.response_started or not self.cycle.more_body)

    def _rivals(self) -> list[LimitedProtocol] | None:
        """Return the other connections that may be closed for this one where there are too many; None where not."""
        others = [each for each in self.connections if each is not self]
        most: float = SHARE_OF_FILES * resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if len(others) < most:
            if self.client is None or is_trusted_proxy(peer := self.client[0]):
                return None
            clients = [(getattr(each, "client", None) or ("",), each) for each in others]
            others = [each for client, each in clients if client[0] == peer]
            if len(others) < int(settings.CANOPY_CONNECTIONS_PER_ADDRESS):
                return None
        return [each for each in others if isinstance(each, LimitedProtocol) and not each.is_being_answered]

    def _watch(self) -> None:
        """Limit the time until the next request is there, from its first byte or from the connection on."""
        if self.is_within_request or self.transport.get_protocol() is not self:
            self._stop_waiting()
        elif self._waiting is None:
            self._waiting = self.loop.call_later(settings.CANOPY_HEADER_SECONDS, self._look_again)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _stop_awaiting_reading(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _look_again(self) -> None:
        self._waiting = self.loop.call_later(GRACE, self._give_up)

    def _give_up(self) -> None:
        if self._has_sent and not self.transport.is_closing():
            self.transport.write(TIMED_OUT)
        self.transport.close()

    def _await_reading(self, left: int) -> None:
        self._stalled = self.loop.call_later(settings.CANOPY_STALLED_SECONDS, self._check_reading, left)

    def _check_reading(self, before: int) -> None:
        """Close the connection of a client that has read nothing since."""
        left = self.transport.get_write_buffer_size()
        if left < before:
            self._await_reading(left)
        else:
            self.transport.abort()


def _place_of(connection: LimitedProtocol) -> tuple[bool, float]:
    """Return the place of a connection in the order in which they are closed: without a request, then the oldest."""
    return connection.is_within_request, connection.since


def limit_connections(receive: Any) -> None:
    """Have uvicorn use LimitedProtocol, however it was started: called by the lifespan, before the server listens.

    `receive` is the lifespan's, a method of uvicorn's.
    """
    config = getattr(getattr(receive, "__self__", None), "config", None)
    if not isinstance(config, Config):
        log.warning("The server is not uvicorn: limits of connections and of the time for headers are not in force.")
        return
    config.http_protocol_class = LimitedProtocol
    config.ws_max_size = SOCKET_MESSAGE_BYTES
