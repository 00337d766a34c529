"""How a text file is written: its encoding, and for CSV its delimiter, its quotes, and whether it has a header."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

DELIMITERS = ",;\t|"
"""Delimiters that are looked for; others can be chosen."""

NO_QUOTES = "none"
"""The choice of quotes for a file whose quotes are part of its text."""

UTF_8 = "utf-8"

ENCODINGS = {
    UTF_8: "UTF-8",
    "utf-16-le": "UTF-16 LE",
    "utf-16-be": "UTF-16 BE",
    "utf-32-le": "UTF-32 LE",
    "utf-32-be": "UTF-32 BE",
    "cp1252": "Windows-1252",
    "iso8859_15": "ISO 8859-15",
    "cp1250": "Windows-1250",
    "cp1251": "Windows-1251",
    "cp1253": "Windows-1253",
    "cp1254": "Windows-1254",
    "cp932": "Shift JIS",
    "gb18030": "GB 18030",
    "big5": "Big5",
    "euc_kr": "EUC-KR",
    "mac_roman": "Mac Roman",
    "cp850": "DOS (code page 850)",
}
"""Encodings that can be read, by Python's names, with the names that people know."""

GUESSED = [name for name in ENCODINGS if not name.startswith("utf")]
"""Encodings that no byte tells for certain: found by likelihood."""


@dataclass(frozen=True)
class Dialect:
    """How a file is to be read. An empty encoding, delimiter or quote is to be detected.

    `skips_blanks`: blanks behind a delimiter are no part of a cell, so that quotes may follow them.
    """

    encoding: str = ""
    delimiter: str = ""
    quote: str = ""
    has_header: bool = True
    skips_blanks: bool = False

    @classmethod
    def of(cls, stored: Mapping[str, Any] | None) -> Self:
        """Return a dialect from what `choices` returned; the default from nothing."""
        return cls(**(stored or {}))

    @property
    def choices(self) -> dict[str, Any]:
        """What differs from the default, as data to store."""
        return {name: value for name, value in asdict(self).items() if value != getattr(Dialect, name)}

    @property
    def is_known(self) -> bool:
        """Whether nothing is left to detect."""
        return bool(self.encoding and self.delimiter and self.quote)

    @property
    def csv_options(self) -> dict[str, Any]:
        """The arguments of csv.reader for a known dialect: strict, so that quotes that do not match are found."""
        if self.quote == NO_QUOTES:
            return {"delimiter": self.delimiter, "quoting": csv.QUOTE_NONE, "quotechar": None, "strict": True}
        options = {"delimiter": self.delimiter, "quotechar": self.quote, "strict": True}
        return options | {"skipinitialspace": self.skips_blanks}
