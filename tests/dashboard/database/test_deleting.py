"""Rows are deleted in portions that take no longer than a lock may be held, whatever the table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from dashboard.database import deleting
from dashboard.models import Item, Node


def test_each_table_has_portions_of_its_own_that_shrink_to_what_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row of one table takes 10 µs, of the other 4 ms: the first one's portions would hold a lock for 20 s."""
    now, portions = 0.0, list[tuple[Any, int, float]]()

    def delete_rows(model: Any, keys: Sequence[int]) -> int:
        nonlocal now
        seconds = len(keys) * (1e-5 if model is Item else 4e-3)
        now += seconds
        portions.append((model, len(keys), seconds))
        return len(keys)

    monkeypatch.setattr(deleting, "delete_rows", delete_rows)
    monkeypatch.setattr("dashboard.database.deleting.time.monotonic", lambda: now)
    monkeypatch.setattr("dashboard.database.deleting.time.sleep", lambda seconds: None)
    given = deleting.Portions()
    assert given.delete(Item, range(20_000)) == given.delete(Node, range(20_000)) == 20_000
    assert max(number for model, number, _ in portions if model is Item) == deleting.LARGEST_PORTION
    first, *others = [seconds for model, _, seconds in portions if model is Node]
    assert given.longest == pytest.approx(first)
    assert first < 2 * deleting.LONG + 0.01
    assert max(others) <= deleting.LONG
