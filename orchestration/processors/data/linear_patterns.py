r"""Patterns that people write, matched in time linear in the text: RE2, with Python's meaning of \d, \w and \s.

Python's own engine tries every way to match, which takes a pattern such as `(a+)+` minutes, and holds the interpreter
lock meanwhile. RE2 knows neither look-arounds nor back-references.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

LONGEST = 1_000
"""Characters of a pattern."""

LARGEST = 16 * 1024 * 1024
"""Bytes that RE2 may use for a pattern."""

CLASSES = {"d": r"\p{Nd}", "w": r"\p{L}\p{N}_", "s": r"\s\v\x1c-\x1f\x{85}\p{Z}"}
"""By the letter of a class of characters, what it holds in Python, where RE2 takes the letters of ASCII alone."""

REASONS = (
    ("(?=", "look-ahead"),
    ("(?!", "look-ahead"),
    ("(?<=", "look-behind"),
    ("(?<!", "look-behind"),
    ("(?>", "atomic groups"),
    ("(?(", "conditions on groups"),
    ("(?P=", "references to groups"),
)
"""What RE2 cannot express, by how it begins."""

_TOKENS = re.compile(
    r"\\u(?P<four>[0-9A-Fa-f]{4})|\\U(?P<eight>[0-9A-Fa-f]{8})|\\(?P<escaped>.)|(?P<plain>.)", re.DOTALL
)


class InvalidPattern(ValueError):
    """A pattern is wrong, or needs what takes more than linear time. The message says what."""


@dataclass(frozen=True)
class LinearPattern:
    """A pattern as a person wrote it. It compiles on first use, so that it can be copied to other processes."""

    pattern: str
    _translated: str = field(repr=False, compare=False)

    @classmethod
    def of(cls, pattern: str) -> LinearPattern:
        """Check a pattern. Raises InvalidPattern."""
        if len(pattern) > LONGEST:
            raise InvalidPattern(f"it has {len(pattern):,} characters; at most {LONGEST:,} are possible")
        _refuse_what_is_not_linear(pattern)
        translated = _translate(pattern)
        _compiled(translated)
        return cls(pattern, translated)

    def matches(self, text: str) -> bool:
        """Whether the whole text matches."""
        return self._engine.fullmatch(text.encode(errors="replace")) is not None

    @cached_property
    def _engine(self) -> Any:
        return _compiled(self._translated)


@cache
def _options() -> Any:
    import re2  # imported on first use: only imports of rows need it

    options = re2.Options()
    options.log_errors, options.max_mem = False, LARGEST
    return options


def _compiled(translated: str) -> Any:
    import re2

    try:
        return re2.compile(translated.encode(), options=_options())
    except re2.error as error:
        (reason, *_) = error.args or ("",)
        told = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise InvalidPattern(told) from None
    except UnicodeEncodeError:
        raise InvalidPattern("it has half of a surrogate pair") from None


def _refuse_what_is_not_linear(pattern: str) -> None:
    bare = re.sub(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", lambda found: found[0] if found[0][1:].isdigit() else "_", pattern)
    for beginning, name in REASONS:
        if beginning in bare:
            raise InvalidPattern(f"{name} {beginning}…) cannot be matched in linear time")
    if found := re.search(r"\\[1-9]", bare):
        raise InvalidPattern(f"references to groups ({found[0]}) cannot be matched in linear time")


def _translate(pattern: str) -> str:
    """Write a pattern of Python's as one of RE2's. Raises InvalidPattern for a class that RE2 cannot name."""
    found, is_class, is_first = list[str](), False, False
    for token in _TOKENS.finditer(pattern):
        escaped, plain = token["escaped"], token["plain"]
        if plain is None:
            found.append(_escape(token, escaped or "", is_class=is_class))
        else:
            found.append(plain)
        if not is_class:
            is_class = is_first = plain == "["
        elif plain == "]" and not is_first:
            is_class = False
        else:
            is_first = is_first and plain == "^" and found[-2:] == ["[", "^"]
    return "".join(found)


def _escape(token: re.Match[str], letter: str, *, is_class: bool) -> str:
    if code := token["four"] or token["eight"]:
        return rf"\x{{{code}}}"
    if letter == "Z" and not is_class:
        return r"\z"
    held = CLASSES.get(letter.lower())
    if held is None:
        return token[0]
    if letter.islower():
        return held if is_class else f"[{held}]"
    if is_class:
        raise InvalidPattern(rf"\{letter} cannot be used within [ ]")
    return f"[^{held}]"
