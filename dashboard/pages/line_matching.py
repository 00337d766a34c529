"""Which lines two texts have in common, found in time proportional to their length, whatever is in them.

difflib takes the square of it for some texts, and the cube for others. This is the patience diff: lines that each text
has once are matched first, and then what lies between them in the same way.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import Match, SequenceMatcher

ROUNDS = 20
"""How often what lies between matched lines is looked at again; what then still differs counts as replaced."""


class LineMatcher(SequenceMatcher[str]):
    """difflib's groups of changes, with lines matched in linear time."""

    def __init__(self, old: Sequence[str], new: Sequence[str]) -> None:
        super().__init__(None, old, new)
        self._matched = [*_in_blocks(matched_lines(old, new)), Match(len(old), len(new), 0)]

    def get_matching_blocks(self) -> list[Match]:
        """Return runs of lines that both texts have, in order, and an empty one at the end."""
        return self._matched


def matched_lines(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """Return the positions of lines that both texts have, in order in both."""
    found = list[tuple[int, int]]()
    regions = [(0, len(old), 0, len(new))]
    for _ in range(ROUNDS):
        between = list[tuple[int, int, int, int]]()
        for region in regions:
            inner = _trimmed(old, new, region, found)
            anchors = _anchors(old, new, inner)
            found += anchors
            if anchors:
                first, second = inner[0], inner[2]
                for left, right in [*anchors, (inner[1], inner[3])]:
                    between.append((first, left, second, right))
                    first, second = left + 1, right + 1
        regions = [each for each in between if each[0] < each[1] and each[2] < each[3]]
        if not regions:
            break
    return sorted(found)


def _trimmed(
    old: Sequence[str], new: Sequence[str], region: tuple[int, int, int, int], found: list[tuple[int, int]]
) -> tuple[int, int, int, int]:
    """Match equal lines at both ends of a region, and return what is left of it."""
    first, last, second, end = region
    while first < last and second < end and old[first] == new[second]:
        found.append((first, second))
        first, second = first + 1, second + 1
    while first < last and second < end and old[last - 1] == new[end - 1]:
        last, end = last - 1, end - 1
        found.append((last, end))
    return first, last, second, end


def _anchors(old: Sequence[str], new: Sequence[str], region: tuple[int, int, int, int]) -> list[tuple[int, int]]:
    """Return the longest sequence, in order in both, of lines that each side of a region has exactly once."""
    first, last, second, end = region
    before, after = Counter(old[first:last]), Counter(new[second:end])
    places = {new[at]: at for at in range(second, end) if after[new[at]] == 1}
    pairs = [(at, places[old[at]]) for at in range(first, last) if before[old[at]] == 1 and old[at] in places]
    ends, links, tops = list[int](), list[int](), list[int]()
    for number, (_, place) in enumerate(pairs):  # longest increasing subsequence
        pile = bisect_left(ends, place)
        links.append(tops[pile - 1] if pile else -1)
        ends[pile : pile + 1], tops[pile : pile + 1] = [place], [number]
    chosen, at = list[tuple[int, int]](), tops[-1] if tops else -1
    while at >= 0:
        chosen.append(pairs[at])
        at = links[at]
    return chosen[::-1]


def _in_blocks(pairs: list[tuple[int, int]]) -> Iterator[Match]:
    size = 0
    for number, (left, right) in enumerate(pairs):
        size += 1
        if number + 1 == len(pairs) or pairs[number + 1] != (left + 1, right + 1):
            yield Match(left - size + 1, right - size + 1, size)
            size = 0
