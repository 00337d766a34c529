"""What the activities of parents return stays below what Temporal takes."""

from __future__ import annotations

import json

from orchestration.activities.parents import first_that_fit


def test_resources_are_returned_as_many_as_fit_and_one_at_least() -> None:
    texts = ["x" * 300, "ä" * 300, "z" * 300]
    assert first_that_fit(texts, 10_000) == texts
    assert first_that_fit(texts, 1_000) == texts[:2]
    assert first_that_fit(texts, 10) == texts[:1]
    assert (
        len(json.dumps(first_that_fit(["\u4e2d" * 100] * 9_000, 1_000_000), ensure_ascii=False).encode()) <= 1_010_000
    )
