"""The one program that `command` is allowed to run in tests, as a shell script that each test writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from orchestration.processors.catalogue import get_processor
from orchestration.testing import Outcome, process_items

Program = Callable[[str], None]


async def run(*values: Any, **given: Any) -> list[Outcome]:
    """Run the program `mine` once for each value."""
    items = [{"value": value} for value in values]
    return await process_items(get_processor("command").function, items, {"program": "mine", **given}, item_attempts=1)
