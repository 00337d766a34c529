"""canopy worker: it waits for its dashboard, and ends for what waiting will not change."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

WORKER = [sys.executable, "-m", "dashboard.cli", "worker", "--queue", "heavy"]


@contextmanager
def dashboard(*statuses: int) -> Iterator[str]:
    """Run a server that answers with these statuses in turn, and yield its address."""
    left = list(statuses)

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            content = b'{"detail": "so it is", "errors": {}}'
            self.send_response(left.pop(0))
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *given: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_a_worker_waits_for_a_dashboard_that_is_away_and_ends_where_its_token_is_refused(tmp_path: Path) -> None:
    with dashboard(503, 500, 401) as address:
        environment = {"PATH": os.environ["PATH"], "CANOPY_URL": address, "CANOPY_TOKEN": "canopy_none"}
        done = subprocess.run(
            [*WORKER],
            env={**environment, "PYTHONPATH": os.getcwd()},  # noqa: PTH109
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.count("does not answer") == 2
    assert f"The dashboard at {address} does not answer (503: so it is)" in done.stderr
    assert done.stderr.splitlines()[-1] == "canopy: 401: so it is"
