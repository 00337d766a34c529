"""What an export has of each item, whatever its format."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dashboard.models import Item, ItemQuerySet
from orchestration.errors.kinds import error_kind

ROWS_AT_ONCE = 2_000

ITEM_COLUMNS = (
    "index",
    "key",
    "child",
    "status",
    "attempts",
    "duration",
    "finished_at",
    "error_kind",
    "error_type",
    "error_message",
)
"""An item's own columns."""


def own_values(item: Any) -> dict[str, Any]:
    """Return an item's own columns."""
    shown = {name: getattr(item, name) for name in ITEM_COLUMNS if name not in ("status", "error_kind")}
    kind = error_kind(item.error_type) if item.error_type else ""
    return shown | {"status": item.shown_status, "error_kind": kind}


def rows_of(items: ItemQuerySet) -> Iterator[Item]:
    """Yield items without holding them all."""
    return items.iterator(chunk_size=ROWS_AT_ONCE)
