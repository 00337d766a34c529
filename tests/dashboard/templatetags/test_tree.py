"""The words of the tree: what a folder has below it, and keys that are cut where they differ least."""

from __future__ import annotations

import pytest

from dashboard.templatetags.tree import cut_in_middle, folder_words
from orchestration.contracts.status import Status


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({}, "0 of 0"),
        ({"completed": 46, "failed": 2, "running": 12}, "48 of 60 · 2 failed"),
        ({"completed": 1_000, "skipped": 234}, "1,234 of 1,234"),
        ({"timed_out": 1, "canceled": 3, "pending": 4}, "4 of 8 · 1 timed out · 3 canceled"),
    ],
)
def test_a_folder_says_how_far_it_is_and_what_failed(counts: dict[str, int], words: str) -> None:
    assert folder_words({status.value: 0 for status in Status} | counts) == words


def test_a_long_key_keeps_its_end_and_is_whole_in_its_title() -> None:
    assert cut_in_middle("row-7") == "row-7"
    assert cut_in_middle("order-<2026>-00017") == (
        '<span class="cut" title="order-&lt;2026&gt;-00017"><span>order-&lt;2026&gt;-</span><span>00017</span></span>'
    )
