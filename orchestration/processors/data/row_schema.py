"""Columns: a schema of rows as a person writes it, one column a line, and what it makes of a row. Pure.

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

RANGE = re.compile(r"(?:from (?P<least>\S+))? ?(?:to (?P<most>\S+))?")
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


KINDS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "text": ("text", str),
    "integer": ("a whole number", _integer),
    "decimal": ("a number", _decimal),
    "boolean": ("yes or no", _boolean),
    "date": ("a date such as 2026-11-21", date.fromisoformat),
    "datetime": ("a time such as 2026-11-21T03:00:00+01:00", datetime.fromisoformat),
}
"""What a value may be, in words, and how a text becomes one. Raises ValueError."""


@dataclass(frozen=True)
class Column:
    """What is asked of one column. `least` and `most` are of its kind; of text they are numbers of characters."""

    name: str
    kind: str = "text"
    required: bool = False
    unique: bool = False
    pattern: re.Pattern[str] | None = None
    least: Any = None
    most: Any = None

    @classmethod
    def parse(cls, name: str, said: str) -> Column:
        """Read what was said of a column. Raises ValueError with a reason for a person."""
        words, _, pattern = said.partition("pattern ")
        options = [each.strip() for each in words.split(",") if each.strip()]
        kind = next((each for each in options if each in KINDS), "text")
        bounds: dict[str, Any] = {}
        for option in options:
            if option in ("required", "unique") or option == kind:
                continue
            found = RANGE.fullmatch(option)
            if found is None or not option:
                known = f"{', '.join(KINDS)}, required, unique, from … to …, pattern …"
                raise ValueError(f"{name}: unknown option {option!r}. Options: {known}.")
            bounds |= {side: _bound(name, kind, text) for side, text in found.groupdict().items() if text}
        return cls(name, kind, "required" in options, "unique" in options, _compiled(name, pattern), **bounds)

    def read(self, given: Any) -> Any:
        """Return a value as its kind, None where there is none. Raises ValueError with what is wrong with it."""
        text = "" if given is None else str(given).strip()
        if not text:
            if self.required:
                raise ValueError(f"{self.name} is missing")
            return None
        words, convert = KINDS[self.kind]
        try:
            value = convert(text)
        except ValueError:
            raise ValueError(f"{self.name}: {_short(text)} is not {words}") from None
        if self.pattern is not None and not self.pattern.fullmatch(text):
            raise ValueError(f"{self.name}: {_short(text)} does not match {self.pattern.pattern}")
        self._check_range(text, value)
        return value

    def _check_range(self, text: str, value: Any) -> None:
        measured, what = (len(text), f"a length of {len(text):,} is") if self.kind == "text" else (value, f"{text} is")
        try:
            if self.least is not None and measured < self.least:
                raise ValueError(f"{self.name}: {what} less than {self.least}")
            if self.most is not None and measured > self.most:
                raise ValueError(f"{self.name}: {what} more than {self.most}")
        except TypeError:  # of two times only one says where on earth it is
            reason = "must have an offset such as +01:00 if and only if its range has one"
            raise ValueError(f"{self.name}: {text} {reason}") from None


def _bound(name: str, kind: str, text: str) -> Any:
    convert = _integer if kind == "text" else KINDS[kind][1]
    try:
        return convert(text)
    except ValueError:
        raise ValueError(f"{name}: {text!r} is not valid in the range of a {kind}.") from None


def _compiled(name: str, pattern: str) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern.strip()) if pattern.strip() else None
    except re.error as error:
        raise ValueError(f"{name}: invalid pattern {pattern.strip()!r}: {error}.") from None


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}…")


def parse_columns(said: Mapping[str, str]) -> tuple[Column, ...]:
    """Read a schema: what is said of each column. Raises ValueError with a reason for a person."""
    return tuple(Column.parse(name, words) for name, words in said.items())


def read_row(columns: Sequence[Column], data: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return a row's values by column, and why they cannot be taken: nothing of what no column names."""
    row, reasons = dict[str, Any](), list[str]()
    for column in columns:
        try:
            row[column.name] = column.read(data.get(column.name))
        except ValueError as error:
            reasons.append(str(error))
    return row, reasons


def as_json(value: Any) -> Any:
    """Return a value that a column has read as JSON can hold it, so that the column reads the same from it again."""
    if isinstance(value, bool) or value is None or isinstance(value, int):
        return value
    return value.isoformat() if isinstance(value, date | datetime) else str(value)
