"""The survey of an input before launch: number of rows, a sample, and bad rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from django.utils.translation import gettext as _

from dashboard.i18n.formatting import numeral
from dashboard.inputs.dialect import Dialect
from dashboard.inputs.reader import InputReader
from dashboard.inputs.rows import BadRow, InputRow
from dashboard.inputs.source import Format, Source, SourceError
from orchestration.processors.processor import Processor

SAMPLE_ROWS = 5
BAD_ROWS_SHOWN = 100
SURVEYED_ROWS = 1_000
"""Rows surveyed of an input that is read while its batch runs: enough to check its columns."""


@dataclass
class Survey:
    """What a survey found. `bad` has the first BAD_ROWS_SHOWN bad rows, `bad_lines` the lines of all.

    `dialect` is how the file was read.
    """

    good: int = 0
    columns: Sequence[str] = ()
    sample: list[InputRow] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    bad_lines: set[int] = field(default_factory=set)
    duplicates: int = 0
    digest: str = ""
    error: str = ""
    dialect: Dialect = field(default_factory=Dialect)

    @property
    def total(self) -> int:
        """Good and bad rows."""
        return self.good + len(self.bad_lines)


def survey(source: Source, processor: Processor, *, limit: int, sample: int | None = None) -> Survey:
    """Read the input once and validate each row against the processor's item model; at most `sample` rows if given."""
    found = Survey()
    keys = set[int]()
    chosen = source.dialect.choices
    digest = hashlib.sha256(f"{source.format}:{source.key}:{source.count}:{chosen or ''}".encode())
    reader = InputReader(source, processor, digest.update, explained=BAD_ROWS_SHOWN)
    try:
        if source.format is Format.COUNT:
            _check_count(source.count, limit)
        for line, row in islice(reader, sample):
            if isinstance(row, BadRow):
                found.bad_lines.add(line)
                if len(found.bad) < BAD_ROWS_SHOWN:
                    found.bad.append(row)
                continue
            found.good += 1
            if found.good > limit:
                raise SourceError(_("Too many items: a batch may have at most %(limit)s.") % {"limit": numeral(limit)})
            if len(found.sample) < SAMPLE_ROWS:
                found.sample.append(row)
            number = hash(row.key)
            found.duplicates += number in keys
            keys.add(number)
        if not found.total:
            raise SourceError(_("There are no items."))
    except SourceError as error:
        found.error = str(error)
    found.columns, found.dialect = reader.position.columns, reader.dialect
    found.digest = digest.hexdigest()
    return found


def good_rows(source: Source, processor: Processor, bad_lines: set[int]) -> Iterator[InputRow]:
    """Yield the good rows of an input whose survey found the bad ones."""
    for line, row in InputReader(source, processor, validates=False):
        if line not in bad_lines and isinstance(row, InputRow):
            yield row


def _check_count(count: int, limit: int) -> None:
    if not 1 <= count <= limit:
        raise SourceError(_("Enter a number of items between 1 and %(limit)s.") % {"limit": numeral(limit)})
