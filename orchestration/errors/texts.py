"""Texts of errors that a person can read, whatever the exception is and whatever characters are in it. Pure."""

from __future__ import annotations

import re
from pathlib import Path
from traceback import FrameSummary

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
"""Characters that move a cursor, colour a terminal, turn text around, hide, or cannot be stored."""


def visible(text: str) -> str:
    r"""Return a text with its control characters written out, such as \x1b; tabs and ends of lines stay."""
    return _UNSEEN.sub(_written_out, text.replace("\r\n", "\n"))


def _written_out(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def text_of(error: BaseException) -> str:
    """Return an exception's text, made visible; empty where it has none or cannot be made into text."""
    try:
        return visible(str(error))
    except BaseException:
        return ""


def place_of(frame: FrameSummary) -> str:
    """Return where a frame is, such as `orders.py:12 in enrich`."""
    return f"{Path(frame.filename).name}:{frame.lineno} in {frame.name}"


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's text; where it has none, what names it."""
    return text_of(error).strip().partition("\n")[0] or named(error)


def named(error: BaseException) -> str:
    """Return an exception's type with its text, such as `KeyError: 'country'`."""
    name = visible(type(error).__name__)
    return f"{name}: {text}" if (text := text_of(error)) else name
