"""docs/security.md: every promise names a test that exists."""

from __future__ import annotations

import ast
import re

from tests.test_layout import ROOT

PAGE = ROOT / "docs" / "security.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def _promises() -> list[str]:
    section = PAGE.read_text().split("\n## Promises\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")]
    return [line for line in rows if line not in ("| promise | test |", "| --- | --- |")]


def test_every_promise_names_a_test_that_exists() -> None:
    for promise in _promises():
        assert promise.count(" | ") == 1, promise
        named = NAMED.findall(promise.split(" | ")[1])
        assert named, promise
        for path, function in named:
            assert (ROOT / path).is_file(), promise
            tree = ast.walk(ast.parse((ROOT / path).read_text()))
            functions = {each.name for each in tree if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}
            assert not function or function in functions, promise
