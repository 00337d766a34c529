"""`make bench`: all figures in one run. Ends with 1 when a bound is not kept.

Those beside Temporal's own UI come last, on a server of their own.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from temporalio.client import Client

import tests.support.environment  # noqa: F401  before anything reads settings
from dashboard.server import processes
from tests.benchmarks import (
    batch_page,
    deployment_load,
    engine,
    exports,
    external_workflows,
    live,
    million_items,
    page_sizes,
    projection,
    scale,
    temporal_ui,
    traces,
    viewers,
    weight,
)
from tests.benchmarks.bare_parents import ConcurrentParent
from tests.benchmarks.report import Figure, table
from tests.support.stack import Process, Stack, TemporalServer
from tests.support.waiting import until

PARTS: dict[str, Callable[[Client, Stack], Awaitable[list[Figure]]]] = {
    "engine": engine.measure,
    "live": partial(live.measure, is_large=False),
    "scale": scale.measure,
    "external-workflows": external_workflows.measure,
    "large-batch": partial(live.measure, is_large=True),
    "exports": exports.measure,
    "million-items": million_items.measure,
    "batch-page": batch_page.measure,
    "page-sizes": page_sizes.measure,
    "viewers": viewers.measure,
    "projection": projection.measure,
    "deployment": deployment_load.measure,
    "weight": weight.measure,
    "traces": traces.measure,
    "temporal-ui": temporal_ui.measure,
}

DEFAULT_LISTS = processes.TEMPORAL_OPTIONS.replace(processes.TEMPORAL_LISTS, "")
"""Options of the server on which Temporal's own UI is measured: its lists are refreshed as often as by default."""


async def _measure(stack: Stack, names: list[str]) -> list[Figure]:
    client = await Client.connect(stack.temporal.address)

    async def warm() -> bool:
        return await engine.bare(client, ConcurrentParent.run, 20) > 0

    await until(warm, "the bare worker answers")
    figures = list[Figure]()
    for name in names:
        found = await PARTS[name](client, stack)
        print(table(found), flush=True)
        figures += found
    return figures


def main(names: list[str]) -> int:
    """Measure the parts that are named, or all. Each part's figures are printed when it is done, and all at the end."""
    wanted = names or list(PARTS)
    ours = [name for name in wanted if name != "temporal-ui"]
    theirs = [name for name in wanted if name == "temporal-ui"]
    figures = (_run(ours, processes.TEMPORAL_OPTIONS) if ours else []) + (_run(theirs, DEFAULT_LISTS) if theirs else [])
    print(table(figures))
    return 0 if all(figure.is_kept for figure in figures) else 1


def _run(names: list[str], options: str) -> list[Figure]:
    """Measure parts on one server."""
    home = Path(tempfile.mkdtemp(prefix="canopy-bench-"))
    server = TemporalServer(home, options)
    server.start()
    stack = Stack(server)
    stack.start()
    bare = Process([sys.executable, "-m", "tests.benchmarks.bare_parents", server.address], home / "bare.log")
    bare.start()
    try:
        return asyncio.run(_measure(stack, names))
    finally:
        bare.stop()
        stack.stop()
        server.stop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
