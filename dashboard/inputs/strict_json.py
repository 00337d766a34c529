"""JSON as its standard has it: each name once, numbers that fit, text that can be stored, and a bounded depth."""

from __future__ import annotations

import json
import math
import re
import sys
from collections import Counter
from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext as _

from dashboard.i18n.formatting import numeral

DEPTH_LIMIT = 100
"""Levels of lists and objects within each other."""


NOT_ZERO = re.compile(r"[^eE]*[1-9]")


class InvalidJson(ValueError):
    """Text that is no JSON, or JSON that cannot be kept as it is; the message says why to a person."""


class TooDeep(InvalidJson):
    """JSON with more levels of lists and objects than are allowed."""

    def __init__(self) -> None:
        super().__init__(_("Nested too deeply: at most %(limit)s levels are allowed.") % {"limit": DEPTH_LIMIT})


def read_json(text: str, levels: int = DEPTH_LIMIT) -> Any:
    """Return the value of a JSON text of at most so many levels. Raises InvalidJson."""
    value = _decoded(_decoder, text)
    if (has_escapes := "\\u" in text) or text.count("[") + text.count("{") > levels:
        check_value(value, levels, has_escapes=has_escapes)
    return value


def read_lenient(text: bytes) -> Any:
    """Return the value of a JSON text of unbounded numbers, levels and text, for `check_value`. Raises InvalidJson."""
    try:
        decoded = text.decode(json.detect_encoding(text))
    except UnicodeDecodeError as error:
        raise InvalidJson(_("Invalid JSON: %(error)s.") % {"error": error}) from error
    return _decoded(_lenient_decoder, decoded)


def _decoded(decoder: json.JSONDecoder, text: str) -> Any:
    try:
        return decoder.decode(text)
    except InvalidJson:
        raise
    except RecursionError as error:
        raise TooDeep from error
    except json.JSONDecodeError as error:
        raise InvalidJson(_("Invalid JSON: %(error)s.") % {"error": error}) from error
    except ValueError as error:  # more digits than Python reads
        limit = {"limit": numeral(sys.get_int_max_str_digits())}
        raise InvalidJson(_("A number is too large: at most %(limit)s digits are allowed.") % limit) from error


def check_value(value: Any, levels: int = DEPTH_LIMIT, *, has_escapes: bool = True) -> None:
    """Raise InvalidJson for a value that is nested too deeply, or whose numbers or text cannot be stored."""
    if nests_deeper(value, levels):
        raise TooDeep
    if has_escapes:
        try:
            encoded = json.dumps(value, ensure_ascii=False, allow_nan=False)
        except ValueError as error:
            raise InvalidJson(_("NaN and infinite numbers are not JSON.")) from error
        _check_text(encoded)


def nests_deeper(value: Any, levels: int) -> bool:
    """Whether a value has lists or objects more than `levels` deep."""
    at_hand = [value]
    for _level in range(levels):
        at_hand = [
            inner
            for outer in at_hand
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not at_hand:
            return False
    return True


def _check_text(encoded: str) -> None:
    if "\\u0000" in encoded.replace("\\\\", ""):
        raise InvalidJson(_("A text contains the character NUL."))
    try:
        encoded.encode()
    except UnicodeEncodeError as error:
        raise InvalidJson(
            _("A text contains half of a character (a lone surrogate, \\u%(code)s).")
            % {"code": f"{ord(encoded[error.start]):04x}"}
        ) from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = first_repeated([name for name, _value in pairs]) or ""
        raise InvalidJson(_("The name %(name)s occurs twice in one object.") % {"name": repr(twice[:100])})
    return found


def first_repeated(names: Iterable[str]) -> str | None:
    """Return the first of some names that comes again; None if each comes once."""
    return next((name for name, number in Counter(names).items() if number > 1), None)


def _not_lost(digits: str) -> float:
    """Return a number; raise InvalidJson for one that would become zero."""
    number = float(digits)
    if not number and NOT_ZERO.match(digits):
        raise InvalidJson(_("The number %(number)s is too small.") % {"number": digits[:40]})
    return number


def _finite(digits: str) -> float:
    number = _not_lost(digits)
    if math.isinf(number):
        raise InvalidJson(_("The number %(number)s is too large.") % {"number": digits[:40]})
    return number


def _refuse_constant(name: str) -> Any:
    raise InvalidJson(_("%(name)s is not a JSON number.") % {"name": name})


_lenient_decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_not_lost)
_decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_refuse_constant)
