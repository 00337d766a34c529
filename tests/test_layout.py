"""The layout that docs/architecture.md describes: rooms, sizes, names, and tests that mirror the code."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

TOP_LEVEL_MODULES = {"dashboard": 10, "orchestration": 8}
"""How many modules may lie directly in each package; the rest has a room."""

MOST_LINES = 300
LONGEST_FUNCTION = 40

GENERATED = ("dashboard/migrations/", "dashboard/i18n/engine_texts.py")

SAYS_NOTHING = {
    *("told", "handed", "begun", "asking", "sighting", "noticing", "growth", "staged", "choosing", "moments"),
    *("said_texts", "run_seen", "hold_ups", "symptoms", "gates", "chunk_work", "on_children", "comparing", "pane"),
    *("utils", "helpers", "common", "misc", "base"),
}
"""Names of modules that do not say what is inside: they were here once, or are everywhere."""

NAMED_BY_DJANGO = {Path("dashboard/database/postgresql/base.py")}


def _tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    found = [ROOT / name for name in listed.stdout.splitlines() if not name.startswith(GENERATED)]
    return [path for path in found if path.exists()]


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("package", TOP_LEVEL_MODULES)
def test_few_modules_lie_outside_of_a_room(package: str) -> None:
    directly = {path.name for path in (ROOT / package).glob("*.py")} - {"__init__.py"}
    assert len(directly) <= TOP_LEVEL_MODULES[package], directly


def test_a_room_says_in_one_sentence_what_it_is_for() -> None:
    for path in _tracked("dashboard/**/__init__.py", "orchestration/**/__init__.py"):
        first, *rest = ast.parse(path.read_text()).body
        assert isinstance(first, ast.Expr), path
        assert isinstance(first.value, ast.Constant), path
        sentence = str(first.value.value)
        assert ". " not in sentence, path
        assert sentence.endswith("."), path
        assert not rest or path.parent.name == "models", path


def test_files_and_functions_are_short() -> None:
    long = {path: len(path.read_text().splitlines()) for path in _tracked("*.py", "*.js", "*.css", "*.html")}
    assert {path: lines for path, lines in long.items() if lines > MOST_LINES} == {}
    functions = ((path, each) for path in _tracked("*.py") for each in _functions(path))
    lengths = {f"{path}:{each.name}": (each.end_lineno or 0) - each.lineno + 1 for path, each in functions}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FUNCTION} == {}


def test_names_of_modules_say_what_is_inside() -> None:
    found = {path.relative_to(ROOT) for path in _tracked("dashboard/*.py", "orchestration/*.py")}
    assert {path for path in found - NAMED_BY_DJANGO if path.stem in SAYS_NOTHING} == set()


def test_tests_lie_in_the_rooms_of_the_code() -> None:
    for path in _tracked("tests/dashboard/*.py", "tests/orchestration/*.py"):
        room = path.parent.relative_to(ROOT / "tests")
        assert (ROOT / room).is_dir(), f"{path}: there is no room {room}"


def test_no_import_is_let_off() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    assert contracts["exclude_type_checking_imports"] is False
    assert [each["name"] for each in contracts["contracts"] if each.get("ignore_imports")] == []


def test_the_architecture_names_what_exists() -> None:
    """A room and module in backticks, such as `launching.request`, lies in one of the packages."""
    named = re.findall(r"`([a-z_]+\.[a-z_]+)(?:\.\w+)?`", (ROOT / "docs" / "architecture.md").read_text())
    rooms = [path.name for package in TOP_LEVEL_MODULES for path in (ROOT / package).iterdir() if path.is_dir()]
    places = {name: [ROOT / package / name.replace(".", "/") for package in TOP_LEVEL_MODULES] for name in named}
    missing = [
        name
        for name, found in places.items()
        if name.partition(".")[0] in rooms and not any(p.is_dir() or p.with_suffix(".py").exists() for p in found)
    ]
    assert missing == []


def test_payloads_have_real_annotations() -> None:
    """The workflow sandbox cannot look up the names in string annotations: a payload that has them cannot be read."""
    modules = (path for path in _tracked("orchestration/contracts/*.py") if "@dataclass" in path.read_text())
    assert [path for path in modules if "from __future__ import annotations" in path.read_text()] == []


def test_code_in_strings_and_docs_imports_what_exists() -> None:
    """Benchmarks and tests run code with `manage.py shell`, which no type checker reads."""
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in _tracked("*.py")}
    imports = re.compile(r"from ((?:dashboard|orchestration|tests)(?:\.\w+)*) import (\w+)")
    missing = [
        f"{path}: {found[0]}"
        for path in _tracked("*.py", "*.md")
        for found in imports.finditer(path.read_text())
        if found[1] != "dashboard.models" and not {found[1], f"{found[1]}.{found[2]}"} & modules
    ]
    assert missing == []


def test_no_query_keeps_a_connection_beyond_its_use() -> None:
    """Outside of requests nobody closes the connection of Django's async queries; `in_thread` does."""
    queries = re.compile(r"\.a(first|last|get|update|exists|count|create|save|delete|iterator|aggregate|bulk_\w+)\(")
    assert [path for path in _tracked("dashboard/*.py") if queries.search(path.read_text())] == []


def _unbounded(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a function's results are kept for each argument that it was ever given."""
    given = function.args.args + function.args.posonlyargs + function.args.kwonlyargs
    names = [ast.unparse(each).removeprefix("functools.") for each in function.decorator_list]
    has_no_bound = [each == "cache" or re.fullmatch(r"lru_cache\((maxsize=)?None.*\)", each) for each in names]
    return any(has_no_bound) and bool(given)


def test_every_cache_has_a_bound() -> None:
    """A cache without one keeps whatever somebody made up for good."""
    functions = [(path, each) for path in _tracked("dashboard/*.py", "orchestration/*.py") for each in _functions(path)]
    assert [f"{path}:{each.name}" for path, each in functions if _unbounded(each)] == []
    sample = ast.parse("@cache\ndef a(b): ...\n@lru_cache(None)\ndef a(b): ...\n@lru_cache\ndef a(b): ...")
    assert [_unbounded(each) for each in sample.body if isinstance(each, ast.FunctionDef)] == [True, True, False]
