"""docs/configure.md: the environment variables that are read, with the code's defaults and what they are for."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from dashboard.documentation.environment_reads import defaults

DESCRIPTIONS = Path(__file__).with_name("variables.toml")

UNITS = {
    "bytes": ((1024**3, "GB"), (1024**2, "MB"), (1024, "kB"), (1, "bytes")),
    "seconds": ((86_400, "d"), (3600, "h"), (1, "s")),
}
"""Names of multiples of each unit, largest first."""

ANY_NAME = "…"

NOTHING: Sequence[Any] = ("", [], None)
"""Defaults of places that only ask whether a variable is set."""


class Variable(BaseModel):
    """One variable; the fields are explained at the top of variables.toml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    about: str
    default: str = ""
    unit: str = ""
    read_by: str = ""
    part_of: str = ""

    @property
    def code_name(self) -> str:
        """The variable, or the beginning of its names, as the code has it."""
        return self.part_of or self.name.partition(ANY_NAME)[0]


class Section(BaseModel):
    """Variables that one looks for together."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    text: str = ""
    variable: Sequence[Variable]


class Described(BaseModel):
    """All variables: those that people set, and `internal` ones with who sets them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    section: Sequence[Section]
    internal: dict[str, str]


@lru_cache(maxsize=1)
def described() -> Described:
    """Return what variables.toml says."""
    return Described.model_validate(tomllib.loads(DESCRIPTIONS.read_text()))


def variables() -> list[Variable]:
    """Return the variables that people set, in the page's order."""
    return [variable for section in described().section for variable in section.variable]


def markdown() -> str:
    """Return the generated part of the page: a table for each section."""
    known = defaults()
    sections = [_section(section, known) for section in described().section]
    internal = [f"| `{name}` | {about} |" for name, about in sorted(described().internal.items())]
    head = "## Set by programs\n\nNothing to set: listed so that nobody wonders.\n\n| variable | set |\n| --- | --- |\n"
    return "\n\n".join([*sections, head + "\n".join(internal)])


def _section(section: Section, known: dict[str, set[str]]) -> str:
    rows = [
        f"| `{each.name}` | {shown_default(each, known.get(each.code_name, set()))} | {each.about} |"
        for each in section.variable
    ]
    text = f"{section.text}\n\n" if section.text else ""
    return (
        f"## {section.title}\n\n{text}| variable | default | what it does, and why |\n| --- | --- | --- |\n"
        + "\n".join(rows)
    )


def shown_default(variable: Variable, sources: set[str]) -> str:
    """Return a default as the page shows it. Raises ValueError where the code's needs words and there are none."""
    if variable.default:
        return variable.default
    values = [value for value in map(_value, sorted(sources)) if value not in NOTHING] or [""]
    if any(value != values[0] for value in values):
        raise ValueError(f"{variable.name} has several defaults, {sorted(sources)}: say in words which is when.")
    return _shown(values[0], variable.unit)


def _shown(value: Any, unit: str) -> str:
    if value == "":
        return "none"
    if value is False:
        return "off"
    if isinstance(value, list):
        return ", ".join(f"`{each}`" for each in value)
    if unit:
        return _measure(value, unit)
    return f"{value:,}" if isinstance(value, int) else f"`{value}`"


def _measure(value: float, unit: str) -> str:
    sizes = (each for each in UNITS[unit] if value >= each[0] and value % each[0] == 0)
    size, name = next(sizes, UNITS[unit][-1])
    return f"{value / size:g} {name}"


def _value(source: str) -> Any:
    """Return what a default of the code is: a literal, or a product of numbers."""
    node = ast.parse(source, mode="eval").body
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return _value(ast.unparse(node.left)) * _value(ast.unparse(node.right))
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise ValueError(f"The default {source} is no plain value: say in words what it is.") from None
