"""Values within JSON columns as SQL expressions that compare and sort alike in SQLite and PostgreSQL.

Numbers are compared exactly, as decimals. PostgreSQL has a type for that; for SQLite a number becomes text of the same
order. Elsewhere SQLite's JSON keeps only 64 bits of an integer and 15 digits of any other number.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any

from django.db.models import Expression, F, Func, IntegerField, TextField

from dashboard.database.sqlite_functions import sqlite_function

DECIMAL_TEXT = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,4})?")
"""Text that is a number as Decimal writes it: without leading zeros, which codes and telephone numbers have."""

TYPED_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
NUMBER_LENGTH = 1_000
DIGIT_RUN = re.compile(r"[0-9]+")
SORTED_LENGTH = 200
"""Characters of a text by which it is sorted."""

_EXPONENT_OFFSET = 10**7
_COMPLEMENT = str.maketrans("0123456789", "9876543210")


def decimal_of(text: str) -> Decimal | None:
    """Return text as an exact number, as a person writes it; None if it is none."""
    text = text.strip()
    return Decimal(text) if len(text) <= NUMBER_LENGTH and TYPED_NUMBER.fullmatch(text) else None


@sqlite_function(1)
def number_key(given: Any) -> str | None:
    """Return a number as text that sorts as the number does; equal numbers give equal text. None if it is no number."""
    try:
        number = Decimal(str(given))
    except InvalidOperation:
        return None
    if not number.is_finite():
        return None
    if not number:
        return "1"
    digits = "".join(map(str, number.as_tuple().digits)).lstrip("0").rstrip("0")
    exponent = f"{number.adjusted() + _EXPONENT_OFFSET:08d}"
    if number > 0:
        return f"2{exponent}{digits}"
    return f"0{exponent.translate(_COMPLEMENT)}{digits.translate(_COMPLEMENT)}~"


@sqlite_function(1)
def decimal_text_key(given: Any) -> str | None:
    """Return the key of text that is a number; None for any other text."""
    return number_key(given) if isinstance(given, str) and DECIMAL_TEXT.fullmatch(given) else None


@sqlite_function(1)
def natural_key(given: str | None) -> str | None:
    """Return text that sorts as a person counts, `row-2` before `row-10`: a run of digits goes after its length."""
    if given is None:
        return None
    return DIGIT_RUN.sub(lambda run: f"{len(number := run[0].lstrip('0')):03d}{number}", given)


@sqlite_function(1)
def value_text(document: str | None) -> str | None:
    """Return a JSON value as PostgreSQL writes it: numbers without exponent, members by length and code points."""
    if document is None:
        return None
    return _written(json.loads(document, parse_float=_Number, parse_int=_Number))


class _Number(str):
    """A number as it is written in JSON."""


def _written(value: Any) -> str:
    if isinstance(value, _Number):
        number = Decimal(value)
        return format(number if number else abs(number), "f")
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: (len(name.encode()), name.encode()))
        return "{" + ", ".join(f"{_written(name)}: {_written(value[name])}" for name in names) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_written, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


@sqlite_function(2)
def member(document: str | None, name: str) -> str | None:
    """Return a member of a JSON object as JSON; SQLite's paths cannot name all of them."""
    found = json.loads(document) if document else None
    return json.dumps(found[name]) if isinstance(found, dict) and name in found else None


class _JsonFunc(Func):
    """An expression of a member of a JSON column, or with no name of the whole value; `{}` stands for it."""

    postgresql = ""
    sqlite = ""
    output_field: Any = TextField()

    def __init__(self, column: str, name: str | None = None) -> None:
        super().__init__(F(column))
        self.name = name

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, tuple[Any, ...]]:
        """Compose SQL for SQLite."""
        if self.name is None:
            return self._composed(compiler, self.sqlite, "%s")
        if '"' in self.name or "\\" in self.name:
            return self._composed(compiler, self.sqlite, "canopy_member(%s, %%s)", self.name)
        return self._composed(compiler, self.sqlite, "(%s -> %%s)", f"$.{json.dumps(self.name)}")

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, tuple[Any, ...]]:
        """Compose SQL for PostgreSQL."""
        if self.name is None:
            return self._composed(compiler, self.postgresql, "%s")
        return self._composed(compiler, self.postgresql, "(%s -> %%s::text)", self.name)

    def _composed(self, compiler: Any, template: str, element: str, *given: str) -> tuple[str, tuple[Any, ...]]:
        column, parameters = compiler.compile(self.source_expressions[0])
        times = template.count("{}")
        return template.replace("{}", element % column), (*parameters, *given) * times


class JsonText(_JsonFunc):
    """A member as text: a string without its quotes, everything else as JSON; NULL for null."""

    postgresql = "({} #>> ARRAY[]::text[])"
    sqlite = (
        "(CASE json_type({}) WHEN 'null' THEN NULL WHEN 'text' THEN json_extract({}, '$') "
        "ELSE canopy_value_text({}) END)"
    )


class JsonSortText(JsonText):
    """The beginning of a member as text, in the order of code points."""

    postgresql = f'(left({JsonText.postgresql}, {SORTED_LENGTH}) COLLATE "C")'
    sqlite = f"substr({JsonText.sqlite}, 1, {SORTED_LENGTH})"


class JsonNumber(_JsonFunc):
    """A member that is a number, to compare with a NumberValue and to sort by; NULL for everything else."""

    postgresql = "(CASE jsonb_typeof({}) WHEN 'number' THEN ({} #>> ARRAY[]::text[])::numeric END)"
    sqlite = "(CASE WHEN json_type({}) IN ('integer', 'real') THEN canopy_number_key({}) END)"


class JsonNumberOrText(_JsonFunc):
    """A member that is a number, or text that is one."""

    postgresql = (
        "(CASE WHEN jsonb_typeof({}) = 'number' OR (jsonb_typeof({}) = 'string' AND ({} #>> ARRAY[]::text[]) ~ "
        f"'^({DECIMAL_TEXT.pattern})$') THEN ({{}} #>> ARRAY[]::text[])::numeric END)"
    )
    sqlite = (
        "(CASE json_type({}) WHEN 'integer' THEN canopy_number_key({}) WHEN 'real' THEN canopy_number_key({}) "
        "WHEN 'text' THEN canopy_decimal_text_key(json_extract({}, '$')) END)"
    )


class JsonRank(_JsonFunc):
    """The place of a member's kind in an order: numbers, text, booleans, lists, objects; NULL for null."""

    output_field = IntegerField()
    postgresql = (
        "(CASE jsonb_typeof({}) WHEN 'number' THEN 0 WHEN 'string' THEN 1 WHEN 'boolean' THEN 2 WHEN 'array' THEN 3 "
        "WHEN 'object' THEN 4 END)"
    )
    sqlite = (
        "(CASE json_type({}) WHEN 'integer' THEN 0 WHEN 'real' THEN 0 WHEN 'text' THEN 1 WHEN 'true' THEN 2 "
        "WHEN 'false' THEN 2 WHEN 'array' THEN 3 WHEN 'object' THEN 4 END)"
    )


class StoredSize(Func):
    """How much the database stores of a column: bytes in PostgreSQL, after its compression; characters in SQLite."""

    function = "pg_column_size"
    output_field = IntegerField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Compose SQL for SQLite."""
        return self.as_sql(compiler, connection, function="length", **context)


class NaturalKey(Func):
    """Text in the order in which a person counts; see `natural_key`."""

    function = "canopy_natural_key"
    output_field = TextField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Compose SQL for PostgreSQL."""
        run = "ltrim(part[1], '0')"
        key = f"CASE WHEN part[1] ~ '^[0-9]' THEN lpad(length({run})::text, 3, '0') || {run} ELSE part[1] END"
        template = (
            f"(SELECT string_agg({key}, '' ORDER BY place) FROM "  # noqa: S608  our own text
            "regexp_matches(%(expressions)s, '[0-9]+|[^0-9]+', 'g') "
            'WITH ORDINALITY AS parts(part, place)) COLLATE "C"'
        )
        return self.as_sql(compiler, connection, template=template, **context)


class NumberValue(Expression):
    """A number to compare JsonNumber with."""

    def __init__(self, number: Decimal) -> None:
        super().__init__(output_field=TextField())
        self.number = number

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, list[Any]]:
        """Compose SQL for SQLite."""
        return "%s", [number_key(self.number)]

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, list[Any]]:
        """Compose SQL for PostgreSQL."""
        return "%s::numeric", [str(self.number)]
