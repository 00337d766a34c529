"""What differs between two texts, in time proportional to their length."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.pages.line_matching import LineMatcher, matched_lines
from tests.support.growth import check_growth

LINES = st.lists(st.sampled_from("abcdefgh"), max_size=40)


def between(fill: Callable[[int], str]) -> Callable[[int], tuple[list[str], list[str]]]:
    """Return what makes two texts that have every second line in common."""

    def make(number: int) -> tuple[list[str], list[str]]:
        common = [fill(at) for at in range(number)]
        first, second = ([line for at in range(number) for line in (common[at], f"{side}{at}")] for side in "xy")
        return first, second

    return make


@given(LINES, LINES)
def test_matched_lines_are_equal_and_in_order(old: list[str], new: list[str]) -> None:
    pairs = matched_lines(old, new)
    assert all(old[left] == new[right] for left, right in pairs)
    assert all(a[0] < b[0] and a[1] < b[1] for a, b in pairwise(pairs))
    rebuilt = [line for _, _, _, j1, j2 in LineMatcher(old, new).get_opcodes() for line in new[j1:j2]]
    assert rebuilt == new


def test_what_stayed_is_found_around_what_changed() -> None:
    old = [line for at in range(50) for line in (f"- name: s{at}", "  sleep: 1")]
    new = [*old[:20], "- name: inserted", "  sleep: 1", *old[20:60], *old[62:]]
    changes = [each for each in LineMatcher(old, new).get_opcodes() if each[0] != "equal"]
    assert [(tag, i2 - i1, j2 - j1) for tag, i1, i2, j1, j2 in changes] == [("insert", 0, 2), ("delete", 2, 0)]


@pytest.mark.parametrize(
    "fill",
    [lambda at: f"u{at}", lambda at: f"p{at // 40}", lambda at: f"p{at % 60}", lambda at: "same"],
    ids=["unique", "runs", "repeated", "same"],
)
def test_it_takes_time_in_proportion_to_the_lines(fill: Callable[[int], str]) -> None:
    check_growth(between(fill), lambda texts: LineMatcher(*texts).get_opcodes(), 1_000)
