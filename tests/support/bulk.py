"""A processor with a large result."""

from __future__ import annotations

from pydantic import BaseModel

from orchestration.processors.processor import ItemContext
from orchestration.processors.registry import processor
from tests.support.probe import ProbeItem

BULK = {"processor": "bulk"}
"""A step that runs it."""

SIZE = 1_400_000


class NoParameters(BaseModel):
    """It takes none."""


class Bulk(BaseModel):
    """A large result."""

    data: str


@processor(own_loop=False, name="bulk", title="Bulk", summary="For tests.")
async def bulk(item: ProbeItem, parameters: NoParameters, context: ItemContext) -> Bulk:
    """Return much."""
    return Bulk(data="x" * SIZE)
