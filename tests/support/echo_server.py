"""An HTTP server on loopback that answers as its paths say, and echoes what it was sent."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from orchestration.processors.catalogue import get_processor
from orchestration.processors.processor import ItemContext


class EchoHandler(BaseHTTPRequestHandler):
    """/status/503, /redirect?to=…, /keep?to=…, /loop, /cookie, /slow, /busy/1 (once); else echo."""

    visits: ClassVar[list[tuple[str, float]]] = []

    def do_GET(self) -> None:
        path = self.path
        if path.startswith("/status/"):
            self._answer(int(path.rsplit("/", 1)[1]), b"no")
        elif path == "/loop" or path.startswith(("/redirect?to=", "/keep?to=")):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(307 if path.startswith("/keep") else 302)
            self.send_header("Location", path.split("=", 1)[-1])
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif path.startswith("/busy/") and path not in [before for before, _ in self.visits]:
            self.visits.append((path, time.monotonic()))
            self.send_response(429)
            self.send_header("Retry-After", path.rsplit("/", 1)[1])
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif path.startswith("/slow"):
            self.server.slow.wait(60)  # type: ignore[attr-defined]
            self._answer(200, b"late")
        else:
            self.visits.append((path, time.monotonic()))
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length).decode()
            echo = {"path": path, "method": self.command, "body": body, "token": self.headers.get("X-Token")}
            echo |= {"once": self.headers.get("Idempotency-Key"), "cookie": self.headers.get("Cookie")}
            self._answer(200, json.dumps(echo).encode())

    do_POST = do_PATCH = do_GET  # noqa: N815

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if self.path == "/cookie":
            self.send_header("Set-Cookie", "session=of-an-item; Path=/")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def echo_server() -> Iterator[str]:
    """Run the server, and yield its address."""
    made = ThreadingHTTPServer(("127.0.0.1", 0), EchoHandler)
    made.slow = threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{made.server_port}"
    made.slow.set()  # type: ignore[attr-defined]
    made.shutdown()
    made.server_close()


async def request(data: dict[str, Any], **parameters: Any) -> Any:
    """Run the processor over one item."""
    bound = get_processor("http_request").bind(parameters)
    return await bound.run(data, ItemContext(key="k", index=0, attempt=1, idempotency_key="batch/0"))
