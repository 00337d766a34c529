"""Runs a processor over a few items in a test as a child would, without Temporal and without a database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from orchestration.activities.chunk_run import ChunkRun
from orchestration.activities.result_writer import ResultWriter
from orchestration.contracts.chunks import ChunkInput, ChunkWork, ItemResult, ItemWork
from orchestration.plan.plan import Plan
from orchestration.processors.catalogue import processor_of
from orchestration.processors.worker_setup import shutdown


@dataclass(frozen=True)
class Outcome:
    """Outcome of an item: its result as data, or type and message of its error, and the number of attempts."""

    result: Any
    error_type: str
    error: str
    attempts: int


def run_items(
    function: Callable[..., Any],
    items: Sequence[Mapping[str, Any]],
    parameters: Mapping[str, Any] | None = None,
    **plan: Any,
) -> list[Outcome]:
    """Return the outcome of each item, in order. `plan` has the options of a launch; attempts follow without backoff.

    Raises LookupError for a function that is no processor, pydantic.ValidationError for parameters it does not take.
    """
    return asyncio.run(process_items(function, items, parameters, **plan))


async def process_items(
    function: Callable[..., Any],
    items: Sequence[Mapping[str, Any]],
    parameters: Mapping[str, Any] | None = None,
    **plan: Any,
) -> list[Outcome]:
    """Do what `run_items` does, within a running event loop."""
    made, results = processor_of(function), list[ItemResult]()
    writer = ResultWriter(results.extend)
    chunk = ChunkInput("test", 0, 0, len(items), "canopy", timedelta(hours=1))
    work = ChunkWork(
        made.name,
        dict(parameters or {}),
        Plan.model_validate({**made.default_plan, "item_backoff": 0, **plan}),
        [ItemWork(index, str(data.get(made.key, index)), dict(data), 0) for index, data in enumerate(items)],
    )
    try:
        await ChunkRun(chunk, "test", work, made.bind(work.parameters), writer).process()
    finally:
        writer.close()
        await shutdown()
    return [_outcome(each) for each in sorted(results, key=lambda each: each.index)]


def _outcome(result: ItemResult) -> Outcome:
    failure = result.failure
    kind, message = (failure.type, failure.message) if failure else ("", "")
    return Outcome(result.result, kind, message, result.attempts)
