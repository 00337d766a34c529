"""docs/patterns.md and docs/pattern-tests.md: every pattern is described, and the tests that are named exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from orchestration.plan.presets import PRESETS

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "patterns.md").read_text()
TABLE = (ROOT / "docs" / "pattern-tests.md").read_text()

IDS = [
    *(f"A{number}" for number in range(1, 15)),
    *(f"B{number}" for number in range(1, 5)),
    *(f"C{number}" for number in range(1, 11)),
    *(f"D{number}" for number in range(1, 6)),
]


def rows() -> dict[str, list[str]]:
    """Return the tests that the table names: {id: [file::test]}."""
    found = re.findall(r"^\| ([A-D]\d+) \| [^|]+ \| ([^|]+) \|$", TABLE, re.MULTILINE)
    return {name: re.findall(r"[\w/]+\.py::\w+", tests) for name, tests in found}


def functions(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_the_table_has_every_pattern_in_order() -> None:
    assert list(rows()) == IDS


def test_every_pattern_names_tests_that_exist() -> None:
    for name, tests in rows().items():
        assert tests, name
        for test in tests:
            path, function = test.split("::")
            assert function in functions(path), test


def test_every_preset_is_of_known_patterns_and_on_the_page() -> None:
    for preset in PRESETS:
        assert set(preset.patterns) <= set(IDS), preset.name


def test_every_section_says_when_and_when_not_with_a_picture_options_and_limits() -> None:
    patterns = PAGE[PAGE.index("## Start here") : PAGE.index("## Schedules")]
    for section in patterns.split("### ")[1:]:
        title, _, text = section.partition("\n")
        words = " ".join(text.split())
        assert {"picture": words.count("```"), "title": title} == {"picture": 2, "title": title}
        for needed in ("hen ", "Not ", "Options: ", "Limits: "):
            assert needed in words, f"{title}: {needed}"
