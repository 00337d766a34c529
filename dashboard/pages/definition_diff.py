"""The diff between two versions of a definition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import unified_diff

from dashboard.accounts.permissions import Person
from dashboard.definitions.saving import shown_text
from dashboard.models import DefinitionVersion

DIFF_LINES = 5_000
"""The most lines of a text that are compared: more take too long for a page."""


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
    left, right = 0, 0
    for line in list(unified_diff(old, new, lineterm=""))[2:]:
        sign, text = line[:1], line[1:]
        if sign == "@":
            left, right = (int(part[1:].split(",")[0]) for part in line.split(" ")[1:3])
            yield DiffLine("@", line)
            continue
        yield DiffLine(sign, text, left if sign != "+" else None, right if sign != "-" else None)
        left, right = left + (sign != "+"), right + (sign != "-")
