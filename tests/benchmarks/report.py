"""A figure and its bound, and the table of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """What was measured, the bound it has to keep (a ceiling, or a floor), and how it came about."""

    name: str
    value: float
    bound: float
    detail: str = ""
    is_floor: bool = False

    @property
    def is_kept(self) -> bool:
        """Whether the bound holds."""
        return self.value >= self.bound if self.is_floor else self.value <= self.bound


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as lines of text."""
    lines = []
    for figure in figures:
        sign = ">=" if figure.is_floor else "<="
        verdict = "kept  " if figure.is_kept else "MISSED"
        lines.append(f"{verdict}  {figure.value:9.2f} {sign} {figure.bound:<7g} {figure.name}  ({figure.detail})")
    return "\n".join(lines)
