"""Checking a definition takes time in proportion to its text, whatever is in it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest

from orchestration.definitions.parser import parse
from orchestration.definitions.source_tree import DefinitionErrors
from orchestration.processors.catalogue import processors
from tests.support.growth import check_growth

STEP = "  - name: {name}\n    run: {{processor: {processor}, input: {{x: {{ref: {ref}.x}}}}}}\n"
UNITS = [
    "- ",
    "[",
    "{",
    "? ",
    "&a ",
    "*a ",
    "a: b\n",
    "'",
    '"',
    "\\",
    "%",
    "| ",
    "---\n",
    "- &x a\n- *x\n",
    "? a\n: b\n",
]


def steps(name: str, ref: str, processor: str = "simulate") -> Callable[[int], str]:
    """Return what makes a definition of so many steps, where {n} is a step's number and {next} the next one's."""

    def make(number: int) -> str:
        numbered = [{"n": n, "next": (n + 1) % number} for n in range(number)]
        lines = [STEP.format(**{k: v.format(**each) for k, v in given.items()}) for each in numbered]
        return "kind: steps\nsteps:\n" + "".join(lines)

    given = {"name": name, "ref": ref, "processor": processor}
    return make


DEFINITIONS = {
    "references to nothing": steps("a" * 35 + "{n}", "a" * 34 + "b{n}"),
    "references to nothing with long names": steps("a" * 90 + "{n}", "a" * 89 + "b{n}"),
    "references in a circle": steps("s{n}", "s{next}"),
    "unknown processors": steps("s{n}", "s{n}", "simulat{n}"),
    "an unknown key": lambda n: "kind: steps\n" + "p" * 100 * n + ": 1\n",
    "one step with many references": lambda n: (
        "kind: steps\nsteps:\n  - name: a\n    run:\n      processor: simulate\n      input:\n"
        + "".join(f"        x{number}: {{ref: a.b}}\n" for number in range(n))
    ),
}


def check(text: str) -> None:
    with suppress(DefinitionErrors):
        parse(text, processors())


@pytest.mark.parametrize("make", DEFINITIONS.values(), ids=DEFINITIONS)
def test_steps_and_references(make: Callable[[int], str]) -> None:
    check_growth(make, check, 60)


@pytest.mark.parametrize("unit", UNITS)
def test_signs_of_yaml(unit: str) -> None:
    check_growth(lambda n: "kind: steps\nx: " + unit * n, check, 2_000)
