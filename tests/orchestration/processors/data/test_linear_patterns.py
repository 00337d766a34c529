"""Patterns of people take linear time, mean what they mean in Python, and say what they cannot express."""

from __future__ import annotations

import re
import time

import pytest

from orchestration.processors.data.linear_patterns import InvalidPattern, LinearPattern

ENDLESS = ("(a+)+", "(a|aa)+", "(a*)*b", r"(\w+\s?)*", "(.*)*=", "a*a*a*a*a*a*a*b")
"""Patterns for which Python's engine needs a time that doubles with each character, or grows with its seventh power."""

TEXTS = (
    *("müller", "a.b@c.d", "٣٤٥", "123", "a b", " ", "\xa0", "ä", "ÄB", "äb", "a", "ab", "(?=a", "]a", "bcd", "\\d"),
    *("-", "1-2", ".5", "²", "_", "\n", "\x1c", "\x85", "x", "é1", "abab", "", "中文", "ſ", "a\n"),
)


@pytest.mark.parametrize("pattern", ENDLESS)
def test_a_pattern_that_tries_every_way_elsewhere_takes_linear_time(pattern: str) -> None:
    began = time.process_time()
    assert not LinearPattern.of(pattern).matches("a" * 1_000_000 + "!")
    assert time.process_time() - began < 20


@pytest.mark.parametrize(
    "pattern",
    [
        *(
            r"\w+",
            r"[\w.-]+@[\w.]+",
            r"\d{3}",
            r"[^\s]+",
            r"\S+",
            r"\W",
            r"\D+",
            r"[\]\w]+",
            "[]a]+",
            "[^]a]+",
            r"[\d-]+",
        ),
        *(
            "(?i)äb",
            r"\u00e4.*",
            r"a\Z",
            ".+@.+",
            "(?P<x>a)b",
            r"\(\?=a",
            "[(?=]+a",
            "a|b",
            r"\s",
            r"\\d",
            r"\.\d",
            ".",
        ),
        *("(?:ab)+?", "é1", r"[^\W_]+".replace(r"\W_", r"\d")),
    ],
)
def test_a_pattern_matches_what_it_matches_in_python(pattern: str) -> None:
    linear = LinearPattern.of(pattern)
    expected = [bool(re.fullmatch(pattern, text)) for text in TEXTS]
    assert [linear.matches(text) for text in TEXTS] == expected
    assert linear.pattern == pattern


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(?=a)b", "look-ahead"),
        ("(?!a)b", "look-ahead"),
        ("(?<!a)b", "look-behind"),
        (r"(a)\1", "references to groups"),
        ("(?P<x>a)(?P=x)", "references to groups"),
        ("(?>a)", "atomic groups"),
        ("(a)(?(1)b|c)", "conditions"),
        (r"[\W]", r"\\W cannot be used within"),
        ("a{1,5000}", "repetition size"),
        ("[a", "missing ]"),
        ("(", r"missing \)"),
        ("a++", "repetition operator"),
        ("a\\", "trailing"),
        ("\ud800", "surrogate"),
        ("a" * 1_001, "at most 1,000"),
    ],
)
def test_what_it_cannot_express_is_said(pattern: str, reason: str) -> None:
    with pytest.raises(InvalidPattern, match=reason):
        LinearPattern.of(pattern)


def test_half_a_character_in_a_text_is_no_error() -> None:
    assert LinearPattern.of(".").matches("\ud800")
