"""What a check has found: fine, worth a look, or wrong, and how to fix it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    """How grave a finding is; the gravest is the exit status of `canopy check`, as monitoring tools have it."""

    OK = 0
    WARN = 1
    FAIL = 2


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, what was found, and how to fix it unless it is fine."""

    subject: str
    level: Level
    message: str
    fix: str = ""

    @property
    def line(self) -> str:
        """The finding for a person."""
        return f"{self.level.name.lower():<4}  {self.subject:<14}  {' '.join(filter(None, (self.message, self.fix)))}"


def ok(subject: str, message: str) -> Finding:
    """Return a finding that something is fine."""
    return Finding(subject, Level.OK, message)


def warn(subject: str, message: str, fix: str) -> Finding:
    """Return a finding that works, and may not be what somebody wants."""
    return Finding(subject, Level.WARN, message, fix)


def fail(subject: str, message: str, fix: str) -> Finding:
    """Return a finding that keeps Canopy from working."""
    return Finding(subject, Level.FAIL, message, fix)


def gravest(findings: Iterable[Finding]) -> Level:
    """Return the gravest level; OK of none."""
    return max((each.level for each in findings), default=Level.OK)
