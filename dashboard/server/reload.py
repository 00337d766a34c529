"""Restart a program when Python files change: `python -m dashboard.server.reload ARG…`, for the Procfile of `make dev`.

The worker runs below it; for the web process uvicorn does the same, and keeps the port open meanwhile.
"""

from __future__ import annotations

import logging
import os
import shlex
import sys
from importlib.util import find_spec
from pathlib import Path

BASE = Path(__file__).resolve().parent.parent.parent
PACKAGES = (BASE / "dashboard", BASE / "orchestration")

STOP_WITHIN = 3
"""Seconds a program has to stop before it is killed and started again."""


def watched_folders() -> list[Path]:
    """Return the folders whose Python files count: both packages, and where the modules of CANOPY_PROCESSORS are."""
    modules = (name.strip() for name in os.environ.get("CANOPY_PROCESSORS", "").split(","))
    found = {*PACKAGES, *(folder for module in modules if module for folder in _folder_of(module))}
    return sorted(folder for folder in found if not found & set(folder.parents))


def reload_environment() -> dict[str, str]:
    """Return the environment with which the Procfile's worker and web restart when a Python file changes."""
    return {
        "CANOPY_RELOAD": "-m dashboard.server.reload",
        "UVICORN_RELOAD": "1",  # uvicorn reads its options from the environment, too
        "UVICORN_RELOAD_DIRS": os.pathsep.join(map(str, watched_folders())),
    }


def run_reloading(arguments: list[str]) -> None:
    """Run Python with the arguments, again after each change, until SIGTERM or SIGINT."""
    from watchfiles import PythonFilter, run_process  # of the extra `dev`

    run_process(
        *watched_folders(),
        target=shlex.join([sys.executable, *arguments]),
        target_type="command",
        watch_filter=PythonFilter(),
        callback=lambda changes: logging.info("Restarting: %s", ", ".join(sorted(path for _, path in changes))),
        sigint_timeout=STOP_WITHIN,
    )


def _folder_of(module: str) -> list[Path]:
    """Return the folder of a module, or none where it is not found: the start of web and worker says so."""
    try:
        spec = find_spec(module)
    except (ImportError, ValueError):
        return []
    return [Path(spec.origin).resolve().parent] if spec is not None and spec.origin else []


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    run_reloading(sys.argv[1:])
