"""The diff between two versions of a definition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dashboard.accounts.permissions import Person
from dashboard.definitions.saving import shown_text
from dashboard.models import DefinitionVersion
from dashboard.pages.line_matching import LineMatcher

DIFF_LINES = 5_000
"""The most lines of a text that are compared: more are too many for a page."""


@dataclass(frozen=True)
class DiffLine:
    """One line of a diff: its sign ("+", "-", " ", or "@" for a hunk header), its text, its number in either text."""

    sign: str
    text: str
    before: int | None = None
    after: int | None = None


@dataclass(frozen=True)
class Diff:
    """The diff to the version before. `is_too_long`: the texts were not compared."""

    before: DefinitionVersion
    lines: Sequence[DiffLine] = ()
    is_too_long: bool = False


def diff_of(version: DefinitionVersion, person: Person | None) -> Diff | None:
    """Return the diff to the version before as a person may see it; None for the first version."""
    before = version.definition.versions.filter(number__lt=version.number).select_related("author").first()
    if before is None:
        return None
    old, new = (shown_text(each.text, person).splitlines() for each in (before, version))
    if max(len(old), len(new)) > DIFF_LINES:
        return Diff(before, is_too_long=True)
    return Diff(before, list(_diff_lines(old, new)))


def _diff_lines(old: list[str], new: list[str]) -> Iterator[DiffLine]:
    for group in LineMatcher(old, new).get_grouped_opcodes():
        (_, left, _, right, _), (_, _, left_end, _, right_end) = group[0], group[-1]
        yield DiffLine("@", f"@@ -{_range(left, left_end)} +{_range(right, right_end)} @@")
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                yield from (DiffLine(" ", old[i1 + at], i1 + at + 1, j1 + at + 1) for at in range(i2 - i1))
            else:
                yield from (DiffLine("-", old[at], at + 1, None) for at in range(i1, i2))
                yield from (DiffLine("+", new[at], None, at + 1) for at in range(j1, j2))


def _range(start: int, end: int) -> str:
    """Return a range of lines as the header of a hunk has it."""
    if end - start == 1:
        return str(start + 1)
    return f"{start + 1 if end > start else start},{end - start}"
