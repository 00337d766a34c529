"""Schedules that are deleted after their test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.schedules import batches_of
from tests.support.stack import Stack


@pytest.fixture
def created(stack: Stack) -> Iterator[list[str]]:
    """Ids of schedules, which are deleted after the test with what they left open."""
    ids: list[str] = []
    yield ids
    for schedule in ids:
        stack.api("DELETE", f"/schedules/{schedule}")
        for batch in batches_of(stack, schedule):
            stack.api("POST", f"/batches/{batch}/terminate")
