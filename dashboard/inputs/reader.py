"""Reads an input (lines, CSV, JSON Lines, a list, a number) as rows, or bad rows with their lines.

It streams: a file is read once for the survey and once for the launch, and never held in memory.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from itertools import islice
from typing import Any, BinaryIO

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from pydantic import ValidationError

from dashboard.errors import reasons_by_field
from dashboard.i18n.formatting import numeral
from dashboard.inputs import relaunch
from dashboard.inputs.csv_rows import CsvTable
from dashboard.inputs.dialect import DELIMITERS, UTF_8, Dialect
from dashboard.inputs.lines import MARK, LineReader
from dashboard.inputs.rows import KEY_LIMIT, BadRow, InputRow
from dashboard.inputs.sniffing import detect
from dashboard.inputs.source import ROW_NUMBER, Format, Position, Source, SourceError
from dashboard.inputs.strict_json import DEPTH_LIMIT, InvalidJson, TooDeep, read_json
from orchestration.processors.processor import Processor

CELL_LIMIT = 64 * 1024
REASONS_SHOWN = 20
"""Fields of a bad row whose reasons are given."""

_AN_ARRAY = gettext_lazy("This is a JSON array. Put one object on each line, without the array.")


class InputReader:
    """Iterates over an input from its start position: (line, row or bad row). Keeps track of its position."""

    def __init__(
        self,
        source: Source,
        processor: Processor,
        digest: Callable[[bytes], object] | None = None,
        *,
        validates: bool = True,
        explained: int | None = None,
    ) -> None:
        """Take an input, the processor of its items, a hash to update with its bytes, and whether to validate rows.

        `explained` is how many bad rows say what is wrong with their fields, all by default: that takes longer than to
        find them.
        """
        self._left_to_explain = explained
        self._source, self._processor, self._digest, self._validates = source, processor, digest, validates
        start = source.start
        self._at, self._line, self._rows, self._columns, self._key = (
            *(start.at, start.line, start.rows),
            *(start.columns, start.key),
        )
        self._dialect = source.dialect

    @property
    def position(self) -> Position:
        """Where another reader may resume after the last row."""
        dialect = asdict(self._dialect) if self._dialect.is_known else {}
        return Position(self._at, self._line, self._rows, self._columns, self._key, dialect)

    @property
    def dialect(self) -> Dialect:
        """How the file is read: what was chosen, and once reading has begun also what was detected."""
        return self._dialect

    def __iter__(self) -> Iterator[tuple[int, InputRow | BadRow]]:
        for line, row in self._read():
            if self._validates and isinstance(row, InputRow) and (error := _error_of(row, self._processor)) is not None:
                row = BadRow(line, self._explanation(error))
            yield line, row

    def _explanation(self, error: ValidationError) -> str:
        if self._left_to_explain == 0:
            return ""
        if self._left_to_explain is not None:
            self._left_to_explain -= 1
        by_field = reasons_by_field(islice(error.errors(include_url=False, include_context=False), REASONS_SHOWN))
        found = [f"{path or 'item'}: {reason}" for path, reasons in by_field.items() for reason in reasons]
        more = error.error_count() - REASONS_SHOWN
        if more > 0:
            found.append(ngettext("%(number)s more", "%(number)s more", more) % {"number": numeral(more)})
        return "; ".join(found) + "."

    def _read(self) -> Iterator[tuple[int, InputRow | BadRow]]:
        source = self._source
        if source.format is Format.COUNT:
            while self._rows < source.count:
                self._rows += 1
                yield self._rows, InputRow(str(self._rows), {})
            return
        readers = {Format.LINES: self._read_lines, Format.CSV: self._read_csv, Format.JSONL: self._read_jsonl}
        self._dialect = self._known_dialect()
        with source.open() as file:
            yield from readers[source.format](file)

    def _known_dialect(self) -> Dialect:
        """Return the dialect of the file. Raises SourceError."""
        start = self._source.start
        if start.dialect:
            return Dialect.of(start.dialect)
        if not start.at:
            return detect(self._source)
        with self._source.open() as file:  # begun by a version that took the most frequent delimiter of the header
            header = next((line for line in LineReader(file, UTF_8) if line.strip()), "")
        return Dialect(UTF_8, max(DELIMITERS, key=header.count), '"')

    def _lines(self, file: BinaryIO) -> LineReader:
        lines = LineReader(file, self._dialect.encoding, self._digest)
        if self._at:
            lines.go_to(self._at, self._line)
        return lines

    def _read_lines(self, file: BinaryIO) -> Iterator[tuple[int, InputRow | BadRow]]:
        lines = self._lines(file)
        for line in lines:
            self._at, self._line = lines.at, lines.number
            text = line.removeprefix(MARK).strip()
            if text:
                self._rows += 1
                yield self._line, self._line_row(text)

    def _line_row(self, text: str) -> InputRow | BadRow:
        if MARK in text:
            return BadRow(
                self._line, _("Another file begins within this line: a line end is missing between two joined files.")
            )
        key = str(self._rows) if self._source.key == ROW_NUMBER else shortened(text)
        return _row({"value": text}, key, self._line)

    def _read_csv(self, file: BinaryIO) -> Iterator[tuple[int, InputRow | BadRow]]:
        lines = LineReader(file, self._dialect.encoding, self._digest)
        table = CsvTable(lines, self._dialect, list(self._processor.item_model.model_fields))
        if not table.columns and not table.is_relaunch:
            return
        self._columns = table.columns
        has_own_keys = table.is_relaunch and not self._source.key
        self._key = "" if has_own_keys else self._key_column(default=table.columns[0] if table.columns else "")
        if self._at:
            table.go_to(self._at, self._line)
        for line, cells in table:
            self._at, self._line = lines.at, lines.number
            if isinstance(cells, BadRow):
                yield line, cells
                continue
            self._rows += 1
            yield line, self._csv_row(table, cells, line)

    def _csv_row(self, table: CsvTable, cells: list[str], line: int) -> InputRow | BadRow:
        if not table.is_relaunch:
            data = dict(zip(table.columns, cells, strict=True))
            return _row(data, str(self._rows) if self._key == ROW_NUMBER else data[self._key], line)
        restored = relaunch.restored(table.columns, cells, line)
        if isinstance(restored, BadRow):
            return restored
        key, data = restored
        return _row(data, self._key_of(data) if self._source.key else key, line)

    def _read_jsonl(self, file: BinaryIO) -> Iterator[tuple[int, InputRow | BadRow]]:
        lines = self._lines(file)
        for line in lines:
            self._at, self._line = lines.at, lines.number
            text = line.removeprefix(MARK).strip()
            if text:
                self._rows += 1
                yield self._line, self._json_row(text)

    def _json_row(self, text: str) -> InputRow | BadRow:
        try:
            value = read_json(text, DEPTH_LIMIT + (relaunch.ITEM_FIELD in text))
        except InvalidJson as error:
            is_array = text.startswith("[") and not isinstance(error, TooDeep)
            return BadRow(self._line, str(_AN_ARRAY if is_array else error))
        if isinstance(value, list):
            return BadRow(self._line, str(_AN_ARRAY))
        given = relaunch.unwrapped(value) if isinstance(value, dict) else None
        data = given[1] if given else value if isinstance(value, dict) else {"value": value}
        if not self._columns:
            self._columns = list(data)
            self._key = self._key_column(default=_default_key(data))
        if given and not self._source.key:
            return _row(data, given[0], self._line)
        if not isinstance(value, dict) and not self._source.key and self._key != ROW_NUMBER and value is not None:
            return _row(data, shortened(_key_text(value)), self._line)
        return _row(data, self._key_of(data), self._line)

    def _key_of(self, data: Mapping[str, Any]) -> str:
        """Return the key of an item: where its field is missing and was not chosen, the number of its row, as `#5`."""
        if self._key == ROW_NUMBER:
            return str(self._rows)
        if self._key not in data:
            return "" if self._source.key else f"#{self._rows}"
        return _key_text(data[self._key])

    def _key_column(self, default: str) -> str:
        """Return the column of the key: the chosen one, the processor's, or the default. Raises SourceError."""
        given, columns, own = self._source.key, self._columns, self._processor.key
        if given and given != ROW_NUMBER and given not in columns:
            raise SourceError(
                _("There is no column %(column)s to use as the key. Columns: %(columns)s.")
                % {"column": repr(given), "columns": ", ".join(columns)}
            )
        return given or (own if own in columns else default)


def shortened(text: str) -> str:
    """Return the key of an item that is a text: the text, or if it is too long its beginning with a hash of it all."""
    if len(text) <= KEY_LIMIT:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return f"{text[: KEY_LIMIT - len(digest) - 1]}…{digest}"


def _default_key(data: Mapping[str, Any]) -> str:
    return next((name for name in ("key", "id", "name", "value", "url") if name in data), ROW_NUMBER)


def _key_text(value: Any) -> str:
    if value is None:
        return ""
    return json.dumps(value) if isinstance(value, dict | list | bool) else str(value)


def _row(data: dict[str, Any], key: str, line: int) -> InputRow | BadRow:
    for name, value in data.items():
        if isinstance(value, str) and len(value) > CELL_LIMIT:
            return BadRow(
                line,
                _("%(name)s: %(length)s characters exceed the limit of %(limit)s.")
                % {"name": name[:50], "length": numeral(len(value)), "limit": numeral(CELL_LIMIT)},
            )
    if not key.strip():
        return BadRow(line, _("The key is empty."))
    if len(key) > KEY_LIMIT:
        too_long = ngettext(
            "The key has %(length)s character; at most %(limit)s are allowed.",
            "The key has %(length)s characters; at most %(limit)s are allowed.",
            len(key),
        )
        return BadRow(line, too_long % {"length": numeral(len(key)), "limit": numeral(KEY_LIMIT)})
    return InputRow(key, data)


def _error_of(row: InputRow, processor: Processor) -> ValidationError | None:
    try:
        processor.validate_item(row.data)
    except ValidationError as error:
        return error
    return None
