"""CSV as records: the header as columns, and each record after it as a row, or as a bad row with its line."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dashboard.i18n.formatting import numeral
from dashboard.inputs import relaunch
from dashboard.inputs.dialect import Dialect
from dashboard.inputs.lines import LINE_LIMIT, MARK, LineReader
from dashboard.inputs.rows import KEY_LIMIT, BadRow
from dashboard.inputs.sniffing import DELIMITER_LINE
from dashboard.inputs.source import SourceError
from dashboard.inputs.strict_json import InvalidJson, first_repeated, read_json

csv.field_size_limit(LINE_LIMIT)

MOST_COLUMNS = 2_000
"""Columns of a file: each is a field of every item."""

JSON_OBJECT = re.compile(r"(\[\s*)*\{")


class CsvTable:
    """Records of one file. Iterates over (line, cells or bad row); `columns` are those of the items."""

    def __init__(self, lines: LineReader, dialect: Dialect, fields: Sequence[str] = ()) -> None:
        """Read the header. `fields` name the columns of a file without one. Raises SourceError."""
        self._lines, self._dialect = lines, dialect
        self._record = list[str]()
        self._is_joined = False
        self.columns: list[str] = []
        self._unnamed = 0
        self._end = ""
        self._next_row = 0
        self._has_ended = False
        self.is_relaunch = False
        self._skip_to_header()
        at, number = lines.at, lines.number
        self._reader = csv.reader(self._fed(), **dialect.csv_options)
        header = self._header()
        if header is None:
            return
        if len(header) > MOST_COLUMNS:
            raise SourceError(
                ngettext(
                    "The file has %(number)s column; at most %(limit)s are allowed.",
                    "The file has %(number)s columns; at most %(limit)s are allowed.",
                    len(header),
                )
                % {"number": numeral(len(header)), "limit": numeral(MOST_COLUMNS)}
            )
        if dialect.has_header:
            self._take_header(header)
        else:
            own = list(fields[: len(header)])
            self.columns = own if len(own) == len(header) else [f"column_{n}" for n in range(1, len(header) + 1)]
            self.go_to(at, number)

    def go_to(self, at: int, number: int) -> None:
        """Go on after a record that ended at a byte."""
        self._lines.go_to(at, number)
        self._reader = csv.reader(self._fed(), **self._dialect.csv_options)

    def __iter__(self) -> Iterator[tuple[int, list[str] | BadRow]]:
        while True:
            self._record.clear()
            self._is_joined = False
            line = self._lines.number + 1
            try:
                cells = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield line, BadRow(line, self._problem(error, line))
                continue
            if not cells and self._is_empty_cell():
                cells = [""]
            if cells and not self._is_blank_line(cells):
                yield line, self._checked(cells, line)

    def _skip_to_header(self) -> None:
        """Leave out blank lines at the beginning, and the one that tells a delimiter."""
        for line in self._lines:
            if line.strip() and not DELIMITER_LINE.fullmatch(line):
                self._lines.put_back()
                return

    def _fed(self) -> Iterator[str]:
        for line in self._lines:
            if not self._record and line.startswith(MARK):
                self._is_joined = True
                line = line.removeprefix(MARK)
            if not self._record and line == "\r\n" and self._end == "\r":
                continue  # of CR CR LF, as lines end whose ends were translated twice
            self._record.append(line)
            self._end = line[len(line.rstrip("\r\n")) :]
            yield line

    def _header(self) -> list[str] | None:
        line = self._lines.number + 1
        problem = None
        try:
            header = next(self._reader, None)
        except csv.Error as error:
            header, problem = None, SourceError(self._problem(error, line))
        if _is_json("".join(self._record).strip()):
            raise SourceError(_("This is JSON, not CSV. Choose the input format JSON Lines."))
        if problem is not None:
            raise problem
        return header

    def _take_header(self, header: list[str]) -> None:
        if relaunch.is_own(header):
            self.is_relaunch = True
            self.columns = header[: -len(relaunch.OWN_COLUMNS)]
            return
        names = [name.strip() for name in header]
        while len(names) > 1 and not names[-1]:
            names.pop()
            self._unnamed += 1
        if "" in names:
            raise SourceError(_no_name(names.index("") + 1))
        if (twice := first_repeated(names)) is not None:
            raise SourceError(_("The header contains the column %(name)s twice.") % {"name": repr(twice[:KEY_LIMIT])})
        self.columns = names

    def _is_blank_line(self, cells: Sequence[str]) -> bool:
        """Whether a record is a line of blanks, which is no row where rows have several cells."""
        return len(cells) == 1 and len(self.columns) > 1 and not "".join(self._record).strip()

    def _is_empty_cell(self) -> bool:
        """Whether an empty line is a row: where rows have one cell, and another row follows."""
        if len(self.columns) != 1 or self.is_relaunch or self._has_ended:
            return False
        if self._lines.number < self._next_row:
            return True
        at, number = self._lines.at, self._lines.number
        self._next_row = next((self._lines.number for line in self._lines if line.strip()), 0)
        self.go_to(at, number)
        self._has_ended = not self._next_row
        return bool(self._next_row)

    def _checked(self, cells: list[str], line: int) -> list[str] | BadRow:
        """Return as many cells as there are columns, or why a record is no row."""
        if 1 < len(cells) == len(self.columns) and not self.is_relaunch and cells[0].strip() != self.columns[0]:
            return cells  # as nearly all are
        own = relaunch.OWN_COLUMNS if self.is_relaunch else ()
        width = len(self.columns) + len(own)
        names = [cell if own else cell.strip() for cell in cells[:width]]
        if (self._is_joined or width > 1) and self._dialect.has_header and names == [*self.columns, *own]:
            return BadRow(line, _("This row repeats the header: another file begins here."))
        if any(MARK in cell for cell in cells) and (len(cells) != width or width == 1):
            return BadRow(
                line, _("Another file begins within this row: a line end is missing between two joined files.")
            )
        if self._unnamed and len(cells) == width + self._unnamed:
            for index, cell in enumerate(cells[width:], start=width + 1):
                if cell.strip():
                    raise SourceError(_no_name(index))
            return cells[:width]
        return cells if len(cells) == width else BadRow(line, self._wrong_width(len(cells), width))

    def _wrong_width(self, found: int, width: int) -> str:
        text = ngettext(
            "%(cells)s cell, but the header has %(columns)s.",
            "%(cells)s cells, but the header has %(columns)s.",
            found,
        )
        if not self._dialect.has_header:
            text = ngettext(
                "%(cells)s cell, but the first row has %(columns)s.",
                "%(cells)s cells, but the first row has %(columns)s.",
                found,
            )
        return text % {"cells": found, "columns": width}

    def _problem(self, error: csv.Error, line: int) -> str:
        """Return what is wrong with the quotes of the record at hand, with the lines that it took."""
        text = "".join(self._record)
        last = line + len(self._record) - 1
        extent = _(" Lines %(first)s to %(last)s are one row.") % {"first": numeral(line), "last": numeral(last)}
        quote, delimiter = re.escape(self._dialect.quote), re.escape(self._dialect.delimiter)
        quoted = re.compile(rf"(?:(?<=[\r\n])|(?<={delimiter})|\A){quote}[^{quote}]*(?:{quote}{quote}[^{quote}]*)*")
        reason = _("Invalid CSV: %(error)s.") % {"error": error}
        for found in quoted.finditer(text):
            behind = text[found.end() + 1 : found.end() + 2]
            is_open = found.end() == len(text)
            if not is_open and behind in ("", self._dialect.delimiter, "\r", "\n"):
                continue
            opened = {"opened": numeral(line + _line_ends(text, found.start()))}
            if is_open:
                reason = _("The quote that opens in line %(opened)s is never closed.") % opened
            else:
                closed = opened | {"closed": numeral(line + _line_ends(text, found.end()))}
                reason = (
                    _("The quote that opens in line %(opened)s closes in line %(closed)s with text behind it.") % closed
                )
            break
        return reason + (extent if last > line else "")


def _is_json(text: str) -> bool:
    if not JSON_OBJECT.match(text):
        return False
    try:
        read_json(text)
    except InvalidJson:
        return False
    return True


def _no_name(index: int) -> str:
    return _("Column %(index)s of the header has no name.") % {"index": index}


def _line_ends(text: str, end: int) -> int:
    return len(re.findall(r"\r\n|\r|\n", text[:end]))
