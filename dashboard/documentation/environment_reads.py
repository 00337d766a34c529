"""Which environment variables the code reads, and with which defaults, found in its source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("dashboard", "orchestration")

OWN = re.compile(r"CANOPY_[A-Z0-9_]+")
"""A text that is nothing else names a variable, or the beginning of some, wherever it stands."""

ANY = re.compile(r"[A-Z][A-Z0-9_]+")

FORMER_NAMES = "variable"
"""The function that returns CANOPY_<name> for a name (dashboard.environment)."""

NO_DEFAULT = ""


@dataclass(frozen=True)
class Read:
    """One place that names a variable; `default` is Python source, or empty where the code gives none."""

    name: str
    path: str
    line: int
    default: str = NO_DEFAULT


@dataclass(frozen=True)
class _Module:
    path: str
    tree: ast.Module
    constants: Mapping[str, str]
    """Names of variables by the constants that have them."""
    values: Mapping[str, str]
    """Source of all constants."""


@lru_cache(maxsize=1)
def reads() -> Sequence[Read]:
    """Return every place that names a variable, by name, path and line."""
    modules = [_parsed(path) for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    known = {name: value for module in modules for name, value in module.constants.items()}
    values = {name: value for module in modules for name, value in module.values.items()}
    found = {read for module in modules for read in [*_calls(module, known, values), *_texts(module)]}
    return sorted(found, key=lambda read: (read.name, read.path, read.line, read.default))


def defaults() -> dict[str, set[str]]:
    """Return the defaults that the code gives to each variable that it names, as Python source."""
    found: dict[str, set[str]] = {}
    for read in reads():
        found.setdefault(read.name, set()).update({read.default} - {NO_DEFAULT})
    return found


def _parsed(path: Path) -> _Module:
    tree = ast.parse(path.read_text())
    assigned = {
        each.targets[0].id: each.value
        for each in tree.body
        if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name)
    }
    texts = {name: value.value for name, value in assigned.items() if isinstance(value, ast.Constant)}
    constants = {name: text for name, text in texts.items() if isinstance(text, str) and ANY.fullmatch(text)}
    values = {name: ast.unparse(value) for name, value in assigned.items() if name.isupper()}
    return _Module(path.relative_to(ROOT).as_posix(), tree, constants, values)


def _calls(module: _Module, known: Mapping[str, str], values: Mapping[str, str]) -> Iterator[Read]:
    """Yield what `env.int(NAME, default=…)`, `os.environ.get(NAME, …)` and `os.environ[NAME]` read.

    `known` and `values` are the constants of all modules; those of this one come first.
    """
    known, values = {**known, **module.constants}, {**values, **module.values}
    instead = dict(_alternatives(module.tree))
    for node in ast.walk(module.tree):
        match node:
            case ast.Call(func=function, args=[given, *_]) if _is_reader(function):
                default = instead.get(node) or _default_of(node)
            case ast.Subscript(value=mapping, slice=given, ctx=ast.Load()) if _is_environment(mapping):
                default = NO_DEFAULT
            case ast.Compare(left=given, comparators=[mapping]) if _is_environment(mapping):
                default = NO_DEFAULT
            case _:
                continue
        if name := _name_of(given, known):
            yield Read(name, module.path, node.lineno, values.get(default, default))


def _alternatives(tree: ast.Module) -> Iterator[tuple[ast.expr, str]]:
    """Yield what stands instead of an empty variable: `os.environ.get(NAME) or 30`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
            yield node.values[0], ast.unparse(node.values[-1])


def _is_environment(node: ast.expr) -> bool:
    return ast.unparse(node) in ("os.environ", "environ")


def _is_reader(function: ast.expr) -> bool:
    """Whether a call reads a variable: of os.environ, or of django-environ's `env`."""
    source = ast.unparse(function)
    return source in ("os.environ.get", "os.getenv", "environ.get") or re.fullmatch(r"env(\.\w+)?", source) is not None


def _name_of(node: ast.expr, known: Mapping[str, str]) -> str:
    """Return the variable that an expression names, with … for what differs; empty if it names none."""
    match node:
        case ast.Constant(value=str(text)) if ANY.fullmatch(text):
            return text
        case ast.Name(id=name):
            return known.get(name, "")
        case ast.Attribute(attr=name):
            return known.get(name, "")
        case ast.Call(func=ast.Name(id=function), args=[ast.Constant(value=str(text))]) if function == FORMER_NAMES:
            return f"CANOPY_{text}"
    return ""


def _default_of(call: ast.Call) -> str:
    given = [each.value for each in call.keywords if each.arg == "default"] or call.args[1:2]
    return ast.unparse(given[0]) if given else NO_DEFAULT


def _texts(module: _Module) -> Iterator[Read]:
    """Yield what names one of Canopy's own variables outside of a sentence, however it is read."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and OWN.fullmatch(node.value):
            yield Read(node.value, module.path, node.lineno)
