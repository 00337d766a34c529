"""Endpoint: a small HTTP server in threads of its own, which answers while everything else in the process waits.

It asks nobody who they are: it is for probes and Prometheus, on an address that only they reach.
"""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

log = logging.getLogger(__name__)

READ_WITHIN = 5.0
"""Seconds in which a client has to send its request, and to take the answer."""

AT_ONCE = 16
"""Requests that are answered at a time; further ones wait to be taken."""

TRY_AGAIN_AFTER = 1.0
"""Seconds until the next try to listen where the port is taken, as by the process that this one replaces."""


@dataclass(frozen=True)
class Answer:
    """What is answered."""

    status: int
    content_type: str
    body: bytes

    @classmethod
    def json(cls, status: int, body: Mapping[str, Any]) -> Answer:
        """Return one with JSON."""
        return cls(status, "application/json", json.dumps(body).encode() + b"\n")


Routes = Mapping[str, Callable[[], Answer]]


def host_and_ports(given: str, name: str) -> tuple[str, range]:
    """Return the host and the ports of an address such as 0.0.0.0:9090, [::]:9090 or 0.0.0.0:9090-9093.

    Raises ValueError with `name`, the variable that has it.
    """
    host, colon, ports = given.strip().rpartition(":")
    first, _, last = ports.partition("-")
    last = last or first
    if not (colon and host and first.isdecimal() and last.isdecimal() and int(first) <= int(last) < 2**16):
        raise ValueError(
            f"{name} is {given!r}: give a host and a port, such as 0.0.0.0:9090 or [::]:9090, or several of which each "
            "process takes one: 0.0.0.0:9090-9093."
        )
    return host.removeprefix("[").removesuffix("]"), range(int(first), int(last) + 1)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, host: str, port: int, routes: Routes) -> None:
        self.routes, self._places = routes, threading.BoundedSemaphore(AT_ONCE)
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._places.acquire()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that has gone."""
        log.debug("A request from %s was not answered.", client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    timeout = READ_WITHIN
    server: _Server
    server_version, sys_version = "canopy", ""

    def do_GET(self) -> None:
        answer = self._answer()
        self.send_response(answer.status)
        for name, value in {
            "Content-Type": answer.content_type,
            "Content-Length": str(len(answer.body)),
            "Cache-Control": "no-store",
            "Connection": "close",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    do_HEAD = do_GET  # noqa: N815

    def _answer(self) -> Answer:
        route = self.server.routes.get(self.path.partition("?")[0].rstrip("/"))
        if route is None:
            return Answer.json(404, {"detail": "There are " + ", ".join(sorted(self.server.routes)) + "."})
        try:
            return route()
        except Exception:
            log.exception("%s cannot be answered.", self.path)
            return Answer.json(500, {"detail": "It cannot be answered; the log says why."})

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's name
        """Log no requests: probes come every few seconds."""


class Endpoint:
    """Listens on the first of some ports that is free from `start` on, also where none is at first, until `stop`."""

    def __init__(self, host: str, ports: Sequence[int], routes: Routes) -> None:
        self._host, self._ports, self._routes = host, ports, routes
        self._server: _Server | None = None
        self._listens, self._stopped = threading.Event(), threading.Event()

    def start(self) -> None:
        """Begin to listen."""
        threading.Thread(target=self._serve, name="endpoint", daemon=True).start()

    def stop(self) -> None:
        """Listen no more."""
        self._stopped.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def port(self, within: float = 60.0) -> int:
        """Return the port once it listens, which tells it where 0 was given. Raises TimeoutError."""
        if not self._listens.wait(within) or self._server is None:
            raise TimeoutError(f"Nothing listens at {self._host}.")
        return int(self._server.server_address[1])

    def _serve(self) -> None:
        is_told = False
        while not self._stopped.is_set():
            try:
                self._server = self._take_port()
            except OSError as error:
                if not is_told:
                    log.warning("No port at %s can be listened on, it is tried again: %s", self._host, error)
                is_told = True
                self._stopped.wait(TRY_AGAIN_AFTER)
                continue
            log.info("Probes and metrics are at %s:%s.", self._host, self._server.server_address[1])
            self._listens.set()
            with suppress(OSError):
                self._server.serve_forever(poll_interval=0.5)
            return

    def _take_port(self) -> _Server:
        """Return a server on the first port that is free. Raises OSError where none is."""
        for port in self._ports[:-1]:
            with suppress(OSError):
                return _Server(self._host, port, self._routes)
        return _Server(self._host, self._ports[-1], self._routes)
