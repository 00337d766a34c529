"""What is kept of versions that were parsed."""

from __future__ import annotations

from dashboard.definitions.parsed import ParsedVersions
from orchestration.definitions.models import Definition


def test_the_versions_asked_for_last_are_kept_within_both_bounds() -> None:
    kept, made = ParsedVersions(versions=3, characters=100), Definition(kind="pool")

    def has() -> list[int]:
        return [number for number in range(10) if kept.get(number) is not None]

    for number in range(4):
        kept.keep(number, made, 10)
    assert has() == [1, 2, 3]
    kept.get(1)
    kept.keep(4, made, 85)
    assert has() == [1, 4]
    kept.keep(5, made, 1_000)
    assert has() == [5], "one that is larger than all may be is kept while no other is asked for"
