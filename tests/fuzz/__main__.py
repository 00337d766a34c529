"""`make fuzz`: hostile requests to every page, route and websocket, on both databases. Ends with 1 if one made a 5xx.

`--database URL` attacks one database in this process; without it, each has a process, and PostgreSQL is started.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

SQLITE = "sqlite"
ROOT = Path(__file__).resolve().parent.parent.parent


def run(database: str, inputs: int, seed: int, temporal: str) -> subprocess.Popen[bytes]:
    """Start the attack on a database in a process and a home of its own."""
    home = tempfile.mkdtemp(prefix="canopy-fuzz-")
    env = {
        **os.environ,
        "CANOPY_HOME": home,
        "TEMPORAL_ADDRESS": temporal,
        "DJANGO_SETTINGS_MODULE": "dashboard.settings",
    }
    env.pop("DATABASE_URL", None)
    if database != SQLITE:
        env["DATABASE_URL"] = database
    command = [sys.executable, "-m", "tests.fuzz.attack", "--inputs", str(inputs), "--seed", str(seed)]
    return subprocess.Popen(command, cwd=ROOT, env=env)


def main(arguments: Sequence[str]) -> int:
    """Attack both databases; return 1 if any request made a 5xx."""
    reader = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    reader.add_argument("--inputs", type=int, default=10_000, help="requests to each database")
    reader.add_argument("--seed", type=int, default=0, help="of a run that is to be repeated; 0 for another each time")
    given = reader.parse_args(arguments)
    from tests.support.servers import postgres
    from tests.support.stack import TemporalServer

    home = Path(tempfile.mkdtemp(prefix="canopy-fuzz-"))
    server = TemporalServer(home)
    server.start()
    try:
        with postgres(home) as url:
            runs = [run(each, given.inputs, given.seed, server.address) for each in (SQLITE, url)]
            return max(each.wait() for each in runs)
    finally:
        server.stop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
