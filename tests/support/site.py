"""A web site on loopback that answers as a test says, and counts the requests of each path."""

from __future__ import annotations

import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Site:
    """Paths in `broken` answer 500; every answer takes `seconds`."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.broken: set[str] = set()
        self.visits: Counter[str] = Counter()
        self.seconds = seconds
        site, lock = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with lock:
                    site.visits[self.path] += 1
                time.sleep(site.seconds)  # simulates work, and is no wait of the test
                self.send_response(500 if self.path in site.broken else 200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *args: Any) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """End the server."""
        self._server.shutdown()
        self._server.server_close()
