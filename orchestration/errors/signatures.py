"""Signatures: which errors are the same to a person. An error's type, and its message without what differs each time.

What is taken out of a message: ids (UUIDs, hexadecimal ones, words with digits in them), addresses (URLs, e-mail,
hosts, paths), times, what stands in quotes, and every number but those that say what went wrong (the status of an HTTP
answer or of a program). What is left is the template, of which the signature is a hash. Only the first line counts:
below it stand stacks and details.
"""

from __future__ import annotations

import hashlib
import re
from http import HTTPStatus

TEMPLATE_LENGTH = 300
SIGNATURE_LENGTH = 16
"""Hexadecimal digits: two groups of a batch never share one by chance."""

MOST_READ = 600
"""Characters of a message that are looked at."""

_URL = r"\b[a-z][a-z0-9+.-]*://[^\s'\"<>)\],;]*[^\s'\"<>)\],;.:]"
_ARN = r"\barn:[\w-]+:[^\s,;'\")\]]+"
_EMAIL = r"(?<![\w.+-])[\w.+-]+@(?:[\w-]+(?:\.[\w-]+)*)?(?![\w@])"
_UUID = r"\b[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}\b"
_IP = r"(?<![\w.])(?:[\w.-]+/)?(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?(?![\w.]*\d)|\[[0-9a-fA-F:]*:[0-9a-fA-F:]+\](?::\d+)?"
_HOST = (
    r"\b(?=[\w.-]*[a-zA-Z])[a-zA-Z0-9](?:[\w-]*\.)+[a-zA-Z][\w-]*:\d+\b"
    r"|\b(?:[\w-]+\.){2,}(?:com|org|net|io|dev|local|internal|svc|cloud|de|uk|eu)\b(?::\d+)?"
)
_PATH = r"(?<![\w<:/])(?:[A-Za-z]:\\|~?/)(?:[\w.@%+~ -]*?[\\/])*[\w.@%+~-]*[\w@%+~-](?:\?[^\s)'\"]*)?"
_TIME = (
    r"\b\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?\b"
    r"|\b\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?\b"
    r"|\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? \d{1,2} [A-Z][a-z]{2} \d{4}\b"
)
_QUOTED = r"(?<![\w'])'(?:[^'\\\ue000-\ue009]|\\.)*'(?!\w)|\"(?:[^\"\\\ue000-\ue009]|\\.)*\"|`[^`]*`|“[^”]*”|«[^»]*»"
_HEX = r"\b0x[0-9a-fA-F]+\b|(?<![\w-])(?=[0-9a-fA-F]*\d)(?=[0-9]*[a-fA-F])[0-9a-fA-F]{7,}(?![\w-])"
_MIXED = r"(?<![\w<])(?=[A-Za-z_-]*\d)(?=[\d_-]*[A-Za-z])[A-Za-z0-9]+(?:[_-][A-Za-z0-9]+)*(?![\w>])"
_NUMBER = r"(?:(?<![\w>])[+-])?\d(?:[\d,._]*\d)?"

_RULES = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (_URL, "<url>"),
        (_ARN, "<id>"),
        (_EMAIL, "<email>"),
        (_UUID, "<id>"),
        (_IP, "<host>"),
        (_HOST, "<host>"),
        (_PATH, "<path>"),
        (_TIME, "<time>"),
        (_QUOTED, "<text>"),
        (_HEX, "<id>"),
        (_MIXED, "<id>"),
        (_NUMBER, "<n>"),
        (r" ?\(<host>\)", ""),
    )
)

_PHRASES = "|".join(sorted({re.escape(status.phrase) for status in HTTPStatus} | {"Client Error", "Server Error"}))
_SAID = r"\b(?:status|status code|exit code|HTTP(?:/\d(?:\.\d)?)?)[ :=]+"
_EXPECTED = r"\bExpected [1-5]\d\d(?:(?:-|, ?)[1-5]\d\d)*(?=, got)"
_CODE = re.compile(rf"(?i:{_SAID})\d{{1,3}}\b|\b[1-5]\d\d (?=(?:{_PHRASES})\b)|{_EXPECTED}")
"""Numbers that say what kind of error it is: of HTTP answers, and of programs that have ended."""

_KEPT = str.maketrans("0123456789", "".join(chr(0xE000 + digit) for digit in range(10)))
_BACK = {kept: digit for digit, kept in _KEPT.items()}

_LISTS = re.compile(r"(<[a-z]+>)(?:(?:\s*[,;:/|-]\s*|\s+(?:and|or)\s+|\s+)\1)+")
_PLURAL = re.compile(r"(<n> (?:[a-z]+ )?[a-z]{2,}?)s\b")
_SPACE = re.compile(r"\s+")
_NOTHING_ELSE = re.compile(r"(?:<[a-z]+>\W*)+")


def template_of(message: str) -> str:
    """Return a message's first line with placeholders for what differs from one error of its kind to the next."""
    line = next((each for each in message[:MOST_READ].splitlines() if each.strip()), "")
    line = _CODE.sub(lambda found: found[0].translate(_KEPT), line)
    for pattern, name in _RULES:
        line = pattern.sub(name, line)
    line = _PLURAL.sub(r"\1", _LISTS.sub(r"\1", line))
    line = _SPACE.sub(" ", line).strip().translate(_BACK)
    return "<value>" if _NOTHING_ELSE.fullmatch(line) else line[:TEMPLATE_LENGTH]


def signature_of(error_type: str, message: str) -> str:
    """Return what errors of one kind have in common, as SIGNATURE_LENGTH hexadecimal digits; empty for no error."""
    if not error_type and not message:
        return ""
    content = f"{error_type}\0{template_of(message)}"
    return hashlib.sha256(content.encode("utf-8", "replace")).hexdigest()[:SIGNATURE_LENGTH]
