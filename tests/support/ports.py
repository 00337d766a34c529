"""Ports of loopback for the servers of tests, which run in several processes at once."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Iterator

from dashboard.server import processes

MAX_WORKERS = 16
"""Of pytest-xdist: each has ports of its own."""


def _own_ports() -> Iterator[int]:
    """Yield free ports of loopback, each once, and none that another worker of pytest-xdist does."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    own = list(processes.FREE_PORTS[worker % MAX_WORKERS :: MAX_WORKERS])
    random.shuffle(own)
    for port in own:
        with contextlib.suppress(processes.CannotRun):
            yield processes.claim_port("127.0.0.1", port)


_ports = _own_ports()


def free_port() -> int:
    """Return a port of loopback that nobody uses, and that no other test is given."""
    return next(_ports)
