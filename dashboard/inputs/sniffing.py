"""Detects how a text file is written, from its bytes and its first records."""

from __future__ import annotations

import codecs
import csv
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import BinaryIO

from charset_normalizer import from_bytes
from django.utils.translation import gettext as _

from dashboard.inputs.dialect import DELIMITERS, GUESSED, NO_QUOTES, UTF_8, Dialect
from dashboard.inputs.lines import BLOCK, MARK, LineReader
from dashboard.inputs.source import Format, Source, SourceError

SAMPLE_RECORDS = 200
SAMPLE_CHARACTERS = 256 * 1024
CHARSET_SAMPLE = 16 * 1024
"""Bytes around the first one that is not UTF-8 from which the encoding is told."""

DELIMITER_LINE = re.compile(r"""["']?sep=([^\w"'\r\n])["']?[,;\t|]*+\s*+""", re.IGNORECASE)
"""The first line by which Excel tells a delimiter."""

MARKS = (
    (codecs.BOM_UTF8, UTF_8),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
)
WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
NO_TEXT = ("Cc", "Cn", "Co", "Cs")
"""Categories of characters that no text has, apart from tabs and line ends."""

ASCII_AND_ZEROS = re.compile(rb"[\x00\t\r\n -~]*")

CONTINUATIONS = bytes(range(0x80, 0xC0))
"""Bytes that go on with a character of UTF-8."""

BY_CHOICE = ("mac_roman", "cp850")
"""Encodings that too many other texts seem to be in."""

WESTERN = re.compile(
    r"[\x00-\x7fäöüÄÖÜßéèêëÉÈÊàâáãåæÀÂÁÅÆçÇñÑóòôõøÓÔØœŒúùûÚÛíìîïÍ\xa0¡¿ºª€£§°«»„“”·½¼²³µ®©™…\u2013\u2014\u2018-\u201a]*"
)
NON_ASCII_RUN = re.compile(r"[^\x00-\x7f]{4}")
NUMBER_OR_TIME = re.compile(r"[-+]?[\d.,' ]*\d|\d[\d.:/TZ+-]*")


def detect(source: Source) -> Dialect:
    """Return the dialect of an input, with what was not chosen. Raises SourceError if two delimiters fit equally."""
    chosen = source.dialect
    found = replace(chosen, quote=chosen.quote or '"', delimiter=chosen.delimiter or DELIMITERS[0])
    if not chosen.encoding:
        with source.open() as file:
            found = replace(found, encoding=find_encoding(file))
    if source.format is not Format.CSV:
        return found
    with source.open() as file:
        sample = _sample(LineReader(file, found.encoding))
    if not chosen.delimiter:
        found = replace(found, delimiter=find_delimiter(sample, found))
    return replace(found, skips_blanks=_has_blanks_before_quotes(sample, found))


def find_encoding(file: BinaryIO) -> str:
    """Return the encoding of a file: by its mark, UTF-8 where all of it is, or the likeliest. Reads the whole file."""
    block = file.read(BLOCK)
    for mark, encoding in MARKS:
        if block.startswith(mark):
            return encoding
    if wide := _wide_without_mark(block):
        return wide
    decoder = codecs.getincrementaldecoder(UTF_8)()
    before = b""
    while block:
        try:
            decoder.decode(block)
        except UnicodeDecodeError as error:
            known = (before + block).find(error.object[error.start : error.start + 16])
            start = max(0, known - CHARSET_SAMPLE // 2)
            return _likeliest((before + block)[start : start + CHARSET_SAMPLE])
        before, block = block[-CHARSET_SAMPLE:], file.read(BLOCK)
    return UTF_8 if not decoder.getstate()[0] else _likeliest(before)


def _wide_without_mark(block: bytes) -> str:
    """Return the encoding with two or four bytes a character in which bytes with zeros are text; empty for none."""
    start = block[:CHARSET_SAMPLE]
    zeros = start.count(0)
    if not zeros or (zeros < len(start) / 4 and ASCII_AND_ZEROS.fullmatch(start)):
        return ""
    letters = {encoding: _ascii_letters(start, encoding) for encoding in WIDE}
    best = max(WIDE, key=letters.__getitem__)
    return best if letters[best] else ""


def _ascii_letters(start: bytes, encoding: str) -> int:
    """Return how many characters of ASCII the beginning of a text has; 0 if it is no text of the encoding."""
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(start)
    except UnicodeDecodeError:
        return 0
    if any(unicodedata.category(each) in NO_TEXT for each in set(text) - {"\t", "\r", "\n"}):
        return 0
    return sum(each.isascii() for each in text)


def _likeliest(sample: bytes) -> str:
    """Return the likeliest encoding of text that is not UTF-8; UTF-8 for what is no text, or only broken in places."""
    if b"\x00" in sample or _is_broken_utf_8(sample):
        return UTF_8
    for encoding in ("cp1252", "mac_roman") if b"\n" not in sample and b"\r" in sample else ("cp1252",):
        western = sample.decode(encoding, "replace")
        if WESTERN.fullmatch(western) and not NON_ASCII_RUN.search(western):
            return encoding
    guessed = [encoding for encoding in GUESSED if encoding not in BY_CHOICE]
    best = from_bytes(sample, cp_isolation=guessed).best()
    if best is None:
        return UTF_8
    return next((name for name in guessed if name in {best.encoding, *best.could_be_from_charset}), UTF_8)


def _is_broken_utf_8(sample: bytes) -> bool:
    """Whether most of what is not ASCII is UTF-8: a file that was cut, or joined with one in another encoding."""
    decoder = codecs.getincrementaldecoder(UTF_8)("surrogateescape")
    beyond = [each for each in decoder.decode(sample.lstrip(CONTINUATIONS)) if not each.isascii()]
    broken = sum("\udc80" <= each <= "\udcff" for each in beyond)
    return len(beyond) > 2 * broken


def _sample(lines: Iterable[str]) -> list[str]:
    taken, size = list[str](), 0
    for line in lines:
        taken.append(line)
        size += len(line)
        if size > SAMPLE_CHARACTERS:
            break
    return taken


@dataclass(frozen=True, order=True)
class _Fit:
    """How well a delimiter fits: the share of records as wide as the header, and of cells without another delimiter."""

    even: float
    plain: float


def find_delimiter(sample: Sequence[str], dialect: Dialect) -> str:
    """Return the delimiter of the first lines of a file. Raises SourceError where two fit equally well."""
    begin = next((number for number, line in enumerate(sample) if line.strip().strip(MARK)), len(sample))
    sample = sample[begin:]
    if sample and (told := DELIMITER_LINE.fullmatch(sample[0])):
        return told[1]
    fits = dict[str, _Fit]()
    for delimiter in DELIMITERS:
        records = list(islice(_records(sample, replace(dialect, delimiter=delimiter)), SAMPLE_RECORDS))
        if records and records[0] is not None and len(records[0]) > 1:
            fits[delimiter] = _fit(records)
    if not fits:
        return DELIMITERS[0]
    best = max(fits.values())
    equal = [delimiter for delimiter, fit in fits.items() if fit == best]
    if len(equal) > 1 and best.even:
        raise SourceError(
            _("Cells could be separated by %(first)s or by %(second)s: choose the delimiter.")
            % {"first": repr(equal[0]), "second": repr(equal[1])}
        )
    return equal[0]


def _has_blanks_before_quotes(sample: Sequence[str], dialect: Dialect) -> bool:
    """Whether quotes follow blanks behind a delimiter, and the records are as even if these blanks are left out."""
    if dialect.quote == NO_QUOTES or dialect.delimiter.isspace():
        return False
    quoted = re.compile(rf"{re.escape(dialect.delimiter)} +{re.escape(dialect.quote)}")
    if not any(quoted.search(line) for line in sample):
        return False
    kept, left_out = (
        list(islice(_records(sample, each), SAMPLE_RECORDS)) for each in (dialect, replace(dialect, skips_blanks=True))
    )
    is_found = any(
        cell.startswith(" ") and cell.lstrip(" ").startswith(dialect.quote) for row in kept for cell in row or ()
    )
    return is_found and _fit(left_out).even >= _fit(kept).even


def _records(sample: Sequence[str], dialect: Dialect) -> Iterator[list[str] | None]:
    """Yield records, and None for one whose quotes do not match; not the last one, which the sample may have cut."""
    reader = csv.reader(sample, **dialect.csv_options)
    is_cut = sum(map(len, sample)) > SAMPLE_CHARACTERS
    held: list[list[str] | None] = []
    while True:
        try:
            cells: list[str] | None = next(reader)
        except StopIteration:
            break
        except csv.Error:
            cells = None
        if cells != []:
            held.append(cells)
        if len(held) > 1:
            yield held.pop(0)
    if not is_cut:
        yield from held


def _fit(records: Sequence[list[str] | None]) -> _Fit:
    width = len(records[0] or ())
    rows = records[1:] or records
    even = [row for row in rows if row is not None and len(row) == width]
    cells = [cell for row in even for cell in row]
    plain = sum(map(_is_plain, cells))
    return _Fit(len(even) / len(rows), plain / len(cells) if cells else 0)


def _is_plain(cell: str) -> bool:
    """Whether a cell is a number or a time, or has nothing in it that could separate cells."""
    value = cell.strip()
    return not any(delimiter in value for delimiter in DELIMITERS) or NUMBER_OR_TIME.fullmatch(value) is not None
