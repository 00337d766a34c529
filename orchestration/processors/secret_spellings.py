"""Spellings of a secret's value: how it looks in a URL, a header, JSON, a traceback, HTML, or encoded for transport."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator
from functools import lru_cache
from string import punctuation
from urllib.parse import quote, quote_plus

from orchestration.errors.texts import visible

MIN_LENGTH = 4
"""Characters. Shorter spellings are left alone: they occur in ordinary words, too."""

MIN_LINE = 12
"""Characters. Longer lines of a value of several lines, such as a private key, are masked on their own as well."""

LEFT_BY_CLIENTS = ("", "/", "~", "".join(set(punctuation) - set('"#<>%')), "".join(set(punctuation) - set('"#<>?`{}%')))
"""What is not percent-encoded: by the RFC, in paths, and in queries and paths by the URL standard of browsers."""

_BASE64 = "[A-Za-z0-9+/_-]"


@lru_cache(maxsize=1_000)
def spellings(value: str) -> tuple[str, ...]:
    """Return the texts to look for, longest first, of which none is a part of one before it by chance."""
    whole = {value, *_lines(value)}
    found = {each for one in whole for each in (one, *_written(one))}
    return tuple(sorted({each for each in found if len(each) >= MIN_LENGTH}, key=lambda each: (-len(each), each)))


@lru_cache(maxsize=1_000)
def encoded(value: str) -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Return what to look for in base64, and for each the pattern of what to mask: its edges hold bits of the value."""
    return tuple((core, re.compile(f"{_BASE64}?{re.escape(core)}{_BASE64}?={{0,2}}")) for core in _base64_cores(value))


@lru_cache(maxsize=1_000)
def shortest(value: str) -> int:
    """Return the length of a value's shortest spelling: shorter texts contain none."""
    return min(map(len, (*spellings(value), *(core for core, _ in encoded(value)))), default=0)


def _lines(value: str) -> Iterator[str]:
    lines = value.splitlines()
    if len(lines) > 1:
        yield from (line for line in lines if len(line) >= MIN_LINE and not line.startswith("-----"))


def _written(value: str) -> Iterator[str]:
    raw = value.encode("utf-8", "surrogatepass")
    for left in LEFT_BY_CLIENTS:
        percent = quote(raw, safe=left)
        yield from (percent, re.sub("%..", lambda found: found[0].lower(), percent), quote(percent, safe=""))
    yield from (quote_plus(raw), html.escape(value), html.escape(value).replace("&#x27;", "&#39;"))
    for as_json in (json.dumps(value), json.dumps(value, ensure_ascii=False)):
        inner = as_json[1:-1]
        yield from (inner, inner.replace("/", "\\/"), json.dumps(as_json)[3:-3])
    yield from (repr(value)[1:-1], repr(raw)[2:-1], repr(repr(value))[2:-2])
    yield from (repr(f"{value}'\"")[1:-4], repr(raw + b"'\"")[2:-4])  # as within a text that has both quotes
    yield from (raw.hex(), raw.hex().upper(), visible(value))


def _base64_cores(value: str) -> Iterator[str]:
    """Return the characters that the value alone determines, for each place at which it may begin among three bytes."""
    raw, found = value.encode("utf-8", "surrogatepass"), dict[str, None]()
    for before, undetermined in ((0, 0), (1, 2), (2, 3)):
        text = base64.b64encode(bytes(before) + raw).decode()
        core = text[undetermined : (before + len(raw)) * 8 // 6]
        for each in (core, core.replace("+", "-").replace("/", "_")):
            if len(each) >= MIN_LENGTH:
                found[each] = None
    yield from found
