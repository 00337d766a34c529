"""Compile what Canopy's processes import as they start, the standard library's part too, into PYTHONPYCACHEPREFIX.

A container has nowhere to keep bytecode: each start and each health check would compile everything again. It is
compared with the content of sources and not with their times, which some builders change: a derived image may replace
them.
"""

from __future__ import annotations

import importlib
import py_compile
import sys

import django

MODULES = (
    "dashboard.cli.main",
    "dashboard.cli.worker",
    "dashboard.cli.remote_worker",
    "dashboard.management.commands.worker",
    "dashboard.management.commands.migrate",
    "dashboard.asgi",
    "dashboard.urls",
    "orchestration.worker",
    # by name, or within functions
    "uvicorn.lifespan.on",
    "uvicorn.loops.auto",
    "uvicorn.protocols.http.auto",
    "uvicorn.protocols.websockets.auto",
    "psycopg_pool",
    "redis.asyncio",
)


def compile_imported() -> int:
    """Compile the source of each module that is imported, except of this script; return how many."""
    files = {getattr(module, "__file__", None) or "" for name, module in sys.modules.items() if name != "__main__"}
    sources = sorted(file for file in files if file.endswith(".py"))
    for source in sources:
        py_compile.compile(source, doraise=True, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)
    return len(sources)


if __name__ == "__main__":
    django.setup()
    for name in MODULES:
        importlib.import_module(name)
    sys.stdout.write(f"{compile_imported()} modules compiled into {sys.pycache_prefix}\n")
