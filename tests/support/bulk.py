"""A processor with a large result."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from orchestration.processors.processor import ItemContext
from orchestration.processors.registry import processor
from tests.support.probe import ProbeItem

SIZE = 1_400_000


class BulkParameters(BaseModel):
    """How much it returns."""

    size: int = SIZE
    entries: int = 0


class Bulk(BaseModel):
    """A large result."""

    data: str
    number: int
    entries: list[str]


@processor(own_loop=False, name="bulk", title="Bulk", summary="For tests.")
async def bulk(item: ProbeItem, parameters: BulkParameters, context: ItemContext) -> Bulk:
    """Return much: text that begins with its own name, a number, and a list."""
    entries = [f"e{number}" for number in range(parameters.entries)]
    return Bulk(data=context.key.ljust(parameters.size, "x"), number=7, entries=entries)


def much(name: str, size: int = SIZE, entries: int = 0) -> dict[str, Any]:
    """Return a step of a flow that returns much."""
    return {"name": name, "run": {"processor": "bulk", "parameters": {"size": size, "entries": entries}}}


class Echo(BaseModel):
    """Anything."""

    value: Any


@processor(own_loop=False, name="echo", title="Echo", summary="For tests.")
async def echo(item: Echo, parameters: BulkParameters, context: ItemContext) -> Echo:
    """Return what it is given."""
    return item
