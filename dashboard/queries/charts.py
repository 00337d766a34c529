"""Charts of a result column: bins of numbers, bars of values."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _

BINS = 20
BARS = 12
LABEL_LENGTH = 120


@dataclass(frozen=True)
class Bar:
    """One bar of a chart: its label, its number, and its height in a drawing of 100 by 100."""

    label: str
    number: int
    height: float

    @property
    def top(self) -> float:
        """Distance of its top from the top of the drawing."""
        return 100 - self.height


@dataclass(frozen=True)
class Chart:
    """The distribution of a result column: a histogram of numbers, or the most frequent of other values."""

    column: str
    bars: list[Bar]
    is_histogram: bool
    of: int
    others: int = 0
    least: str = ""
    most: str = ""

    @property
    def is_informative(self) -> bool:
        """Whether it shows more than that all values differ."""
        return self.is_histogram or self.bars[0].number > 1 or self.of == 1


def chart_of(column: str, values: Iterable[Any]) -> Chart | None:
    """Return the chart of a result column; None if there are no plain values."""
    found = [value for value in values if value is not None and not isinstance(value, dict | list)]
    if not found:
        return None
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in found):
        numbers = [Decimal(value) for value in found]
        ends = _number(min(numbers), ",.6g"), _number(max(numbers), ",.6g")
        return Chart(column, _bins(numbers), True, len(found), 0, *(ends if ends[0] != ends[1] else ends[:1]))
    counts = Counter(str(value)[:LABEL_LENGTH] for value in found)
    shown = counts.most_common(BARS)
    most = shown[0][1]
    bars = [Bar(label, number, 100 * number / most) for label, number in shown]
    return Chart(column, bars, False, len(found), len(found) - sum(number for _, number in shown))


def _bins(values: Sequence[Decimal]) -> list[Bar]:
    least, most = min(values), max(values)
    width = (most - least) / BINS
    if not width:
        return [Bar(_number(least, "g"), len(values), 100.0)]
    numbers = Counter(min(BINS - 1, int((value - least) / width)) for value in values)
    highest = max(numbers.values())
    return [
        Bar(
            _("%(low)s to %(high)s")
            % {"low": _number(least + at * width, ".4g"), "high": _number(least + (at + 1) * width, ".4g")},
            numbers[at],
            100 * numbers[at] / highest,
        )
        for at in range(BINS)
    ]


def _number(value: Decimal, form: str) -> str:
    """Return a number as a label; one that is too large for a float too."""
    number = float(value)
    return format(number, form) if math.isfinite(number) else f"{value:.4g}"
