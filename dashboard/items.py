"""Items: what a person gives (lines, CSV, JSON Lines, a list, a number) becomes rows, or bad rows with their lines.

Everything streams: a file is read once to be surveyed and once to be launched, and never held in memory.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, BinaryIO

from pydantic import ValidationError

from dashboard.launching import Row
from orchestration.processors.registry import Processor

LINE_LIMIT = 4 * 1024 * 1024
CELL_LIMIT = 64 * 1024
KEY_LIMIT = 200
SAMPLE_ROWS = 5
BAD_ROWS_SHOWN = 100
DELIMITERS = ",;\t|"
ROW_NUMBER = "#"
"""The choice of key that numbers the rows."""

BINARY = "This is a binary file, not text."
BINARY_LOOK = 64 * 1024
"""Bytes after one that is not text in which a NUL tells a binary file from text in another encoding."""

csv.field_size_limit(LINE_LIMIT)


class Format(StrEnum):
    """How items are given."""

    COUNT = "count"
    LINES = "lines"
    CSV = "csv"
    JSONL = "jsonl"


class SourceError(Exception):
    """The input as a whole cannot be read: why, for a person."""


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be launched: its line (from 1) and why."""

    line: int
    message: str


@dataclass(frozen=True)
class Source:
    """Input that can be opened again and again. `key` is a column, ROW_NUMBER, or empty for the usual one."""

    format: Format
    open: Callable[[], BinaryIO] = io.BytesIO
    key: str = ""
    count: int = 0


@dataclass
class Survey:
    """What one reading of the input found. `bad` holds the first of the bad rows, `bad_lines` all of them."""

    good: int = 0
    columns: Sequence[str] = ()
    sample: list[Row] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    bad_lines: set[int] = field(default_factory=set)
    duplicates: int = 0
    digest: str = ""
    error: str = ""

    @property
    def total(self) -> int:
        """Good and bad rows."""
        return self.good + len(self.bad_lines)


def survey(source: Source, processor: Processor, *, limit: int) -> Survey:
    """Read the input once, validating every row against the processor's item model."""
    found = Survey()
    keys = set[int]()
    digest = hashlib.sha256(f"{source.format}:{source.key}:{source.count}".encode())
    try:
        if source.format is Format.COUNT:
            _check_count(source.count, limit)
        for line, row in _numbered(source, found, digest.update):
            if isinstance(row, Row):
                row = _validated(row, line, processor)
            if isinstance(row, BadRow):
                found.bad_lines.add(line)
                if len(found.bad) < BAD_ROWS_SHOWN:
                    found.bad.append(row)
                continue
            found.good += 1
            if found.good > limit:
                raise SourceError(f"More than {limit:,} items: that is the most that one batch may have.")
            if len(found.sample) < SAMPLE_ROWS:
                found.sample.append(row)
            number = hash(row.key)
            found.duplicates += number in keys
            keys.add(number)
        if not found.total:
            raise SourceError("There is not a single item.")
    except SourceError as error:
        found.error = str(error)
    found.digest = digest.hexdigest()
    return found


def rows(source: Source, bad_lines: set[int]) -> Iterator[Row]:
    """Yield the good rows, once a survey has told the bad ones."""
    for line, row in _numbered(source, Survey(), lambda _: None):
        if line not in bad_lines and isinstance(row, Row):
            yield row


def list_source(items: Sequence[Any], key: str = "") -> Source:
    """Return the source of a list of objects or plain values, as the API gets it."""
    content = "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items).encode()
    return Source(Format.JSONL, lambda: io.BytesIO(content), key=key)


def _check_count(count: int, limit: int) -> None:
    if not 1 <= count <= limit:
        raise SourceError(f"The number of items must be from 1 to {limit:,}.")


def _numbered(source: Source, found: Survey, digest: Callable[[bytes], None]) -> Iterator[tuple[int, Row | BadRow]]:
    """Yield each row with its line."""
    if source.format is Format.COUNT:
        for number in range(1, source.count + 1):
            yield number, Row(str(number), {})
        return
    with source.open() as file:
        lines = _lines(file, digest)
        readers = {Format.LINES: _read_lines, Format.CSV: _read_csv, Format.JSONL: _read_jsonl}
        yield from readers[source.format](lines, source, found)


def _lines(file: BinaryIO, digest: Callable[[bytes], None]) -> Iterator[tuple[int, str]]:
    """Yield numbered lines of text. Raises SourceError for what is not UTF-8 text."""
    number = 0
    while raw := file.readline(LINE_LIMIT):
        number += 1
        digest(raw)
        if number == 1:
            if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
                raise SourceError("This is UTF-16 text. Save it as UTF-8 and try again.")
            raw = raw.removeprefix(b"\xef\xbb\xbf")
        if b"\x00" in raw:
            raise SourceError(BINARY)
        if len(raw) == LINE_LIMIT:
            raise SourceError(f"Line {number:,} is longer than {LINE_LIMIT // 1024 // 1024} MB.")
        try:
            yield number, raw.decode()
        except UnicodeDecodeError as error:
            if b"\x00" in file.read(BINARY_LOOK):
                raise SourceError(BINARY) from error
            place = f"line {number:,}, byte {error.start + 1:,}"
            raise SourceError(f"This is not UTF-8 text ({place}). Save it as UTF-8 and try again.") from error


def _read_lines(lines: Iterable[tuple[int, str]], source: Source, found: Survey) -> Iterator[tuple[int, Row | BadRow]]:
    for number, line in lines:
        text = line.strip()
        if text:
            yield number, _row({"value": text}, text[:KEY_LIMIT], number)


def _read_csv(lines: Iterable[tuple[int, str]], source: Source, found: Survey) -> Iterator[tuple[int, Row | BadRow]]:
    numbered = iter(lines)
    first = next(((number, line) for number, line in numbered if line.strip()), None)
    if first is None:
        return
    delimiter = max(DELIMITERS, key=first[1].count)
    at = [first[0]]

    def text() -> Iterator[str]:
        for at[0], line in numbered:
            yield line

    found.columns = _columns(next(csv.reader([first[1]], delimiter=delimiter)))
    key = _key_column(source.key, found.columns, default=found.columns[0])
    reader = csv.reader(text(), delimiter=delimiter)
    count = 0
    while True:
        begins = at[0] + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield begins, BadRow(begins, f"Not CSV: {error}.")
            continue
        if not any(cell.strip() for cell in cells):
            continue
        count += 1
        if len(cells) != len(found.columns):
            expected = len(found.columns)
            cells_found = "1 cell" if len(cells) == 1 else f"{len(cells)} cells"
            yield begins, BadRow(begins, f"{cells_found}, but the header has {expected}.")
            continue
        data = dict(zip(found.columns, cells, strict=True))
        yield begins, _row(data, str(count) if key == ROW_NUMBER else data[key].strip(), begins)


def _columns(header: Sequence[str]) -> list[str]:
    names = [name.strip() for name in header]
    if "" in names:
        raise SourceError(f"Column {names.index('') + 1} of the header has no name.")
    for name in names:
        if names.count(name) > 1:
            raise SourceError(f"The header has the column {name[:KEY_LIMIT]!r} twice.")
    return names


def _key_column(given: str, columns: Sequence[str], default: str) -> str:
    if given and given != ROW_NUMBER and given not in columns:
        raise SourceError(f"There is no column {given!r} to take the key from. There are: {', '.join(columns)}.")
    return given or default


def _read_jsonl(lines: Iterable[tuple[int, str]], source: Source, found: Survey) -> Iterator[tuple[int, Row | BadRow]]:
    count, key = 0, source.key
    for number, line in lines:
        if not line.strip():
            continue
        count += 1
        try:
            value = json.loads(line)
        except ValueError as error:
            yield number, BadRow(number, f"Not JSON: {error}.")
            continue
        data = value if isinstance(value, dict) else {"value": value}
        if not found.columns:
            found.columns = list(data)
            key = _key_column(source.key, found.columns, _usual_key(data))
        missing = "" if source.key else count
        named = data.get(key, missing) if key != ROW_NUMBER else count
        yield number, _row(data, str(named) if not isinstance(named, dict | list) else json.dumps(named), number)


def _usual_key(data: Mapping[str, Any]) -> str:
    return next((name for name in ("key", "id", "name", "value", "url") if name in data), ROW_NUMBER)


def _row(data: dict[str, Any], key: str, line: int) -> Row | BadRow:
    for name, value in data.items():
        if isinstance(value, str) and len(value) > CELL_LIMIT:
            return BadRow(line, f"{name[:50]}: {len(value):,} characters; at most {CELL_LIMIT:,} are allowed.")
    if not key:
        return BadRow(line, "The key is empty.")
    return Row(key[:KEY_LIMIT], data)


def _validated(row: Row, line: int, processor: Processor) -> Row | BadRow:
    try:
        processor.validate_item(row.data)
    except ValidationError as error:
        reasons = [f"{'.'.join(map(str, each['loc'])) or 'item'}: {each['msg']}" for each in error.errors()]
        return BadRow(line, "; ".join(reasons) + ".")
    return row
