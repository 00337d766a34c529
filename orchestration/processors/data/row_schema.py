"""Column schemas: parsed from one line per column, applied to rows of text. Pure.

email: text, required, unique, pattern .+@.+
amount: decimal, from 0 to 10000
born: date, from 1900-01-01
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from orchestration.processors.data.linear_patterns import InvalidPattern, LinearPattern

RANGE = re.compile(r"(?:from (?P<minimum>\S+))? ?(?:to (?P<maximum>\S+))?")
TRUE, FALSE = ("true", "yes", "1", "on"), ("false", "no", "0", "off")


def _integer(text: str) -> int:
    if not re.fullmatch(r"[+-]?\d{1,18}", text):
        raise ValueError
    return int(text)


def _decimal(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError from None
    if not value.is_finite():
        raise ValueError
    return value


def _boolean(text: str) -> bool:
    if text.casefold() not in TRUE + FALSE:
        raise ValueError
    return text.casefold() in TRUE


COLUMN_TYPES: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "text": ("text", str),
    "integer": ("a whole number", _integer),
    "decimal": ("a number", _decimal),
    "boolean": ("yes or no", _boolean),
    "date": ("a date such as 2026-11-21", date.fromisoformat),
    "datetime": ("a time such as 2026-11-21T03:00:00+01:00", datetime.fromisoformat),
}
"""By name: a phrase for error messages, and the conversion from text, which raises ValueError."""


@dataclass(frozen=True)
class Column:
    """Rules of a column. `minimum` and `maximum` have the column's type; for text they are lengths in characters."""

    name: str
    type: str = "text"
    required: bool = False
    unique: bool = False
    pattern: LinearPattern | None = None
    minimum: Any = None
    maximum: Any = None

    @classmethod
    def parse(cls, name: str, definition: str) -> Column:
        """Parse a definition such as "integer, required, from 1". Raises ValueError with a message for the user."""
        head, _, pattern = definition.partition("pattern ")
        options = [each.strip() for each in head.split(",") if each.strip()]
        column_type = next((each for each in options if each in COLUMN_TYPES), "text")
        bounds: dict[str, Any] = {}
        for option in options:
            if option in ("required", "unique") or option == column_type:
                continue
            found = RANGE.fullmatch(option)
            if found is None or not option:
                known = f"{', '.join(COLUMN_TYPES)}, required, unique, from … to …, pattern …"
                raise ValueError(f"{name}: unknown option {option!r}. Options: {known}.")
            bounds |= {side: _read_bound(name, column_type, text) for side, text in found.groupdict().items() if text}
        return cls(
            name, column_type, "required" in options, "unique" in options, _compile_pattern(name, pattern), **bounds
        )

    def read(self, given: Any) -> Any:
        """Return a value converted to the column's type, None if it is empty. Raises ValueError with the reason."""
        text = "" if given is None else str(given).strip()
        if not text:
            if self.required:
                raise ValueError(f"{self.name} is missing")
            return None
        phrase, convert = COLUMN_TYPES[self.type]
        try:
            value = convert(text)
        except ValueError:
            raise ValueError(f"{self.name}: {_shortened(text)} is not {phrase}") from None
        if self.pattern is not None and not self.pattern.matches(text):
            raise ValueError(f"{self.name}: {_shortened(text)} does not match {self.pattern.pattern}")
        self._check_range(text, value)
        return value

    def _check_range(self, text: str, value: Any) -> None:
        measured, what = (len(text), f"a length of {len(text):,} is") if self.type == "text" else (value, f"{text} is")
        try:
            if self.minimum is not None and measured < self.minimum:
                raise ValueError(f"{self.name}: {what} less than {self.minimum}")
            if self.maximum is not None and measured > self.maximum:
                raise ValueError(f"{self.name}: {what} more than {self.maximum}")
        except TypeError:  # only one of two datetimes has an offset
            reason = "must have an offset such as +01:00 if and only if its range has one"
            raise ValueError(f"{self.name}: {text} {reason}") from None


def _read_bound(name: str, column_type: str, text: str) -> Any:
    convert = _integer if column_type == "text" else COLUMN_TYPES[column_type][1]
    try:
        return convert(text)
    except ValueError:
        raise ValueError(f"{name}: {text!r} is not valid in the range of a {column_type}.") from None


def _compile_pattern(name: str, pattern: str) -> LinearPattern | None:
    try:
        return LinearPattern.of(pattern.strip()) if pattern.strip() else None
    except InvalidPattern as error:
        raise ValueError(f"{name}: invalid pattern {_shortened(pattern.strip())}: {error}.") from None


def _shortened(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}…")


def parse_columns(definitions: Mapping[str, str]) -> tuple[Column, ...]:
    """Parse a schema, a definition by column. Raises ValueError with a message for the user."""
    return tuple(Column.parse(name, definition) for name, definition in definitions.items())


def read_row(columns: Sequence[Column], data: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return a row's valid values by column, and the reasons for invalid ones. Other fields are ignored."""
    row, reasons = dict[str, Any](), list[str]()
    for column in columns:
        try:
            row[column.name] = column.read(data.get(column.name))
        except ValueError as error:
            reasons.append(str(error))
    return row, reasons
