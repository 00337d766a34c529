"""Reads an input (lines, CSV, JSON Lines, a list, a number) as rows, or bad rows with their lines.

It streams: a file is read once for the survey and once for the launch, and never held in memory.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from pydantic import ValidationError

from dashboard.errors import reasons_by_field
from dashboard.i18n.formatting import numeral
from dashboard.inputs.rows import KEY_LIMIT, BadRow, InputRow
from dashboard.inputs.source import ROW_NUMBER, Format, Position, Source, SourceError
from orchestration.processors.processor import Processor

LINE_LIMIT = 4 * 1024 * 1024
CELL_LIMIT = 64 * 1024
DELIMITERS = ",;\t|"
BINARY = gettext_lazy("This is a binary file, not text.")
BINARY_LOOKAHEAD = 64 * 1024
"""Bytes after an invalid one in which a NUL distinguishes a binary file from text in another encoding."""

csv.field_size_limit(LINE_LIMIT)


class InputReader:
    """Iterates over an input from its start position: (line, row or bad row). Keeps track of its position."""

    def __init__(
        self,
        source: Source,
        processor: Processor,
        digest: Callable[[bytes], object] | None = None,
        *,
        validates: bool = True,
    ) -> None:
        """Take an input, the processor of its items, a hash to update with its bytes, and whether to validate rows."""
        self._source, self._processor, self._digest, self._validates = source, processor, digest, validates
        start = source.start
        self._at, self._line, self._rows, self._columns, self._key = (
            *(start.at, start.line, start.rows),
            *(start.columns, start.key),
        )

    @property
    def position(self) -> Position:
        """Where another reader may resume after the last row."""
        return Position(self._at, self._line, self._rows, self._columns, self._key)

    def __iter__(self) -> Iterator[tuple[int, InputRow | BadRow]]:
        for line, row in self._read():
            if self._validates and isinstance(row, InputRow):
                row = _validated(row, line, self._processor)
            yield line, row

    def _read(self) -> Iterator[tuple[int, InputRow | BadRow]]:
        source = self._source
        if source.format is Format.COUNT:
            while self._rows < source.count:
                self._rows += 1
                yield self._rows, InputRow(str(self._rows), {})
            return
        readers = {Format.LINES: self._read_lines, Format.CSV: self._read_csv, Format.JSONL: self._read_jsonl}
        with source.open() as file:
            yield from readers[source.format](file)

    def _lines(self, file: BinaryIO) -> Iterator[str]:
        """Yield lines of text from the current position. Raises SourceError for what is not UTF-8 text."""
        if self._at:
            file.seek(self._at)
        while raw := file.readline(LINE_LIMIT):
            self._line += 1
            self._at += len(raw)
            if self._digest is not None:
                self._digest(raw)
            yield _text(raw, self._line, file)

    def _read_lines(self, file: BinaryIO) -> Iterator[tuple[int, InputRow | BadRow]]:
        for line in self._lines(file):
            text = line.strip()
            if text:
                yield self._line, _row({"value": text}, text[:KEY_LIMIT], self._line)

    def _read_csv(self, file: BinaryIO) -> Iterator[tuple[int, InputRow | BadRow]]:
        resumed, self._at, self._line = self._source.start, 0, 0
        lines = self._lines(file)
        first = next((line for line in lines if line.strip()), None)
        if first is None:
            return
        delimiter = max(DELIMITERS, key=first.count)
        self._columns = _columns(next(csv.reader([first], delimiter=delimiter)))
        self._key = self._key_column(default=self._columns[0])
        if resumed.at:
            self._at, self._line = resumed.at, resumed.line
            lines = self._lines(file)
        reader = csv.reader(lines, delimiter=delimiter)
        while True:
            first_line = self._line + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield first_line, BadRow(first_line, _("Invalid CSV: %(error)s.") % {"error": error})
                continue
            if any(cell.strip() for cell in cells):
                self._rows += 1
                yield first_line, self._csv_row(cells, first_line)

    def _csv_row(self, cells: Sequence[str], line: int) -> InputRow | BadRow:
        if len(cells) != len(self._columns):
            found = ngettext(
                "%(cells)s cell, but the header has %(columns)s.",
                "%(cells)s cells, but the header has %(columns)s.",
                len(cells),
            )
            return BadRow(line, found % {"cells": len(cells), "columns": len(self._columns)})
        data = dict(zip(self._columns, cells, strict=True))
        return _row(data, str(self._rows) if self._key == ROW_NUMBER else data[self._key].strip(), line)

    def _read_jsonl(self, file: BinaryIO) -> Iterator[tuple[int, InputRow | BadRow]]:
        for line in self._lines(file):
            if line.strip():
                self._rows += 1
                yield self._line, self._json_row(line)

    def _json_row(self, line: str) -> InputRow | BadRow:
        try:
            value = json.loads(line)
        except ValueError as error:
            return BadRow(self._line, _("Invalid JSON: %(error)s.") % {"error": error})
        data = value if isinstance(value, dict) else {"value": value}
        if not self._columns:
            self._columns = list(data)
            self._key = self._key_column(default=_default_key(data))
        missing = "" if self._source.key else self._rows
        named = data.get(self._key, missing) if self._key != ROW_NUMBER else self._rows
        return _row(data, str(named) if not isinstance(named, dict | list) else json.dumps(named), self._line)

    def _key_column(self, default: str) -> str:
        """Return the column of the key: the chosen one, the processor's, or the default. Raises SourceError."""
        given, columns, own = self._source.key, self._columns, self._processor.key
        if given and given != ROW_NUMBER and given not in columns:
            raise SourceError(
                _("There is no column %(column)s to use as the key. Columns: %(columns)s.")
                % {"column": repr(given), "columns": ", ".join(columns)}
            )
        return given or (own if own in columns else default)


def _text(raw: bytes, number: int, file: BinaryIO) -> str:
    """Decode a line. Raises SourceError for what is not UTF-8 text, or too long."""
    if number == 1:
        if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise SourceError(_("This is UTF-16 text. Save it as UTF-8 and try again."))
        raw = raw.removeprefix(b"\xef\xbb\xbf")
    if b"\x00" in raw:
        raise SourceError(BINARY)
    if len(raw) == LINE_LIMIT:
        raise SourceError(
            _("Line %(number)s is longer than %(limit)s MB.")
            % {"number": numeral(number), "limit": LINE_LIMIT // 1024 // 1024}
        )
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        if b"\x00" in file.read(BINARY_LOOKAHEAD):
            raise SourceError(BINARY) from error
        place = _("line %(number)s, byte %(start)s") % {"number": numeral(number), "start": numeral(error.start + 1)}
        raise SourceError(
            _("This is not UTF-8 text (%(place)s). Save it as UTF-8 and try again.") % {"place": place}
        ) from error


def _columns(header: Sequence[str]) -> list[str]:
    names = [name.strip() for name in header]
    if "" in names:
        raise SourceError(_("Column %(index)s of the header has no name.") % {"index": names.index("") + 1})
    for name in names:
        if names.count(name) > 1:
            raise SourceError(_("The header contains the column %(name)s twice.") % {"name": repr(name[:KEY_LIMIT])})
    return names


def _default_key(data: Mapping[str, Any]) -> str:
    return next((name for name in ("key", "id", "name", "value", "url") if name in data), ROW_NUMBER)


def _row(data: dict[str, Any], key: str, line: int) -> InputRow | BadRow:
    for name, value in data.items():
        if isinstance(value, str) and len(value) > CELL_LIMIT:
            return BadRow(
                line,
                _("%(name)s: %(length)s characters exceed the limit of %(limit)s.")
                % {"name": name[:50], "length": numeral(len(value)), "limit": numeral(CELL_LIMIT)},
            )
    if not key:
        return BadRow(line, _("The key is empty."))
    return InputRow(key[:KEY_LIMIT], data)


def _validated(row: InputRow, line: int, processor: Processor) -> InputRow | BadRow:
    try:
        processor.validate_item(row.data)
    except ValidationError as error:
        by_field = reasons_by_field(error.errors())
        found = [f"{path or 'item'}: {reason}" for path, reasons in by_field.items() for reason in reasons]
        return BadRow(line, "; ".join(found) + ".")
    return row
