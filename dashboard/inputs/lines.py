"""Lines of a file in any encoding, with the byte and the number at which reading may resume.

A line ends with LF, CR LF or CR. Nothing but the line at hand and a block of the file is held.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator
from typing import BinaryIO

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from dashboard.i18n.formatting import numeral
from dashboard.inputs.dialect import ENCODINGS, UTF_8
from dashboard.inputs.source import SourceError

LINE_LIMIT = 4 * 1024 * 1024
BLOCK = 256 * 1024
BINARY = gettext_lazy("This is a binary file, not text.")
BINARY_LOOKAHEAD = 64 * 1024
"""Bytes after an invalid one in which a NUL distinguishes a binary file from text in another encoding."""

MARK = "\ufeff"
"""The byte order mark as a character: the first of a file, or of a file that was appended to another."""

LINE_END = re.compile(r"\r\n|\r|\n")


class LineReader:
    """Iterates over the lines of a file as text, each with its end. `at` and `number` are those of the last one."""

    def __init__(self, file: BinaryIO, encoding: str, digest: Callable[[bytes], object] | None = None) -> None:
        """Take a file at its beginning, its encoding, and a hash to update with what is read."""
        self._file, self._encoding, self._digest = file, encoding, digest
        self.at = self.number = 0
        self._lines, self._last, self._returned = self._read(), b"", b""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        """Return the next line. Raises SourceError for what is no text of the encoding, or too long."""
        if self._returned:
            raw, self._returned = self._returned, b""
        else:
            raw = next(self._lines)
        self.number += 1
        self.at += len(raw)
        self._last = raw
        if self._digest is not None:
            self._digest(raw)
        try:
            text = raw.decode(self._encoding)
        except UnicodeDecodeError as error:
            if b"\x00" in raw + self._file.read(BINARY_LOOKAHEAD):
                raise SourceError(BINARY) from error
            raise SourceError(self._problem(error)) from error
        if "\x00" in text:
            raise SourceError(BINARY)
        return text.removeprefix(MARK) if self.number == 1 else text

    def put_back(self) -> None:
        """Return the last line once more as the next one."""
        self._returned = self._last
        self.number -= 1
        self.at -= len(self._last)

    def go_to(self, at: int, number: int) -> None:
        """Go on after a line that ended at a byte."""
        self._file.seek(at)
        self.at, self.number = at, number
        self._lines, self._returned = self._read(), b""

    def _read(self) -> Iterator[bytes]:
        return self._wide_lines() if self._encoding.startswith(("utf-16", "utf-32")) else self._byte_lines()

    def _byte_lines(self) -> Iterator[bytes]:
        """Yield lines of an encoding in which line ends are the bytes of ASCII."""
        begun = b""
        while raw := self._file.readline(BLOCK):
            if not begun and raw.endswith(b"\n") and b"\r" not in raw[:-2]:
                yield raw
                continue
            parts = (begun + raw).splitlines(keepends=True)
            begun = b"" if raw.endswith(b"\n") else parts.pop()
            yield from parts
            self._check_length(begun)
        if begun:
            yield begun

    def _wide_lines(self) -> Iterator[bytes]:
        """Yield lines of an encoding in which the bytes of line ends occur within other characters too."""
        decoder = codecs.getincrementaldecoder(self._encoding)()
        begun, searched, is_last = "", 0, False
        while not is_last:
            block = self._file.read(BLOCK)
            is_last = not block
            try:
                begun += decoder.decode(block, is_last)
            except UnicodeDecodeError as error:
                raise SourceError(self._problem(error)) from error
            end = 0
            for found in LINE_END.finditer(begun, searched):
                if found.end() == len(begun) and found[0] == "\r" and not is_last:
                    break
                begin, end = end, found.end()
                yield begun[begin:end].encode(self._encoding)
            begun = begun[end:]
            searched = max(0, len(begun) - 1)
            self._check_length(begun)
        if begun:
            yield begun.encode(self._encoding)

    def _check_length(self, begun: bytes | str) -> None:
        if len(begun) >= LINE_LIMIT:
            raise SourceError(
                _("Line %(number)s is longer than %(limit)s MB.")
                % {"number": numeral(self.number + 1), "limit": LINE_LIMIT // 1024 // 1024}
            )

    def _problem(self, error: UnicodeDecodeError) -> str:
        place = _("line %(number)s, byte %(start)s") % {
            "number": numeral(max(self.number, 1)),
            "start": numeral(error.start + 1),
        }
        advice = (
            _("Choose another encoding.") if self._encoding != UTF_8 else _("Save it as UTF-8, or choose its encoding.")
        )
        return _("This is not %(encoding)s text (%(place)s). %(advice)s") % {
            "encoding": ENCODINGS.get(self._encoding, self._encoding),
            "place": place,
            "advice": advice,
        }
