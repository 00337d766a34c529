"""`make faults`: parts that cause faults on purpose, as long as is asked for. Ends with 1 when a bound is missed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

import tests.support.environment  # noqa: F401  before anything reads settings
from tests.benchmarks.report import Figure, table
from tests.faults import campaign, processors

PARTS: dict[str, Callable[[float], list[Figure]]] = {
    "campaign": campaign.measure,
    "processors": processors.measure,
}
"""By name: a function of the seconds to run, which returns figures and their bounds."""

HOUR = 3_600.0


def main(arguments: Sequence[str]) -> int:
    """Run the parts that are named, or all."""
    reader = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    reader.add_argument("parts", nargs="*", metavar="part", help=f"any of {', '.join(PARTS)}; all by default")
    reader.add_argument("--seconds", type=float, default=HOUR, help="how long each part runs; an hour by default")
    given = reader.parse_args(arguments)
    unknown = set(given.parts) - set(PARTS)
    if unknown:
        reader.error(f"There is no part {', '.join(sorted(unknown))}. Parts: {', '.join(PARTS)}.")
    figures = list[Figure]()
    for name in given.parts or PARTS:
        figures += PARTS[name](given.seconds)
    print(table(figures))
    return 0 if all(figure.is_kept for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
