"""Signatures: errors of the corpus are grouped as a person would group them."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from orchestration.errors.signatures import SIGNATURE_LENGTH, TEMPLATE_LENGTH, signature_of, template_of

Error = tuple[str, str]


def corpus() -> list[list[Error]]:
    """Return the errors, those together that are the same to a person."""
    lines = (Path(__file__).parent / "error_corpus.txt").read_text().splitlines()
    said = [line for line in lines if not line.startswith("#")]
    groups = [list(group) for is_error, group in groupby(said, bool) if is_error]
    return [[(kind, message) for kind, _, message in (line.partition(" | ") for line in group)] for group in groups]


GROUPS = corpus()


def test_there_are_200_errors() -> None:
    assert sum(map(len, GROUPS)) >= 200


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: f"{group[0][0]}: {group[0][1][:40]}")
def test_errors_of_one_kind_have_one_signature(group: list[Error]) -> None:
    assert len({signature_of(*error) for error in group}) == 1, [template_of(message) for _, message in group]


def test_errors_of_two_kinds_have_two() -> None:
    first: dict[str, Error] = {}
    for group in GROUPS:
        signature = signature_of(*group[0])
        assert signature not in first, f"{group[0]} has the signature of {first[signature]}: {template_of(group[0][1])}"
        first[signature] = group[0]


def test_a_template_says_what_stays_and_what_differs() -> None:
    message = "Order 17 of ann@example.org at https://x.example/1 failed at 2026-11-21T03:00:00Z: 'no stock'\nTraceback"
    assert template_of(message) == "Order <n> of <email> at <url> failed at <time>: <text>"
    assert template_of("no file /srv/a b/0001.jpg on 10.0.0.1:80") == "no file <path> on <host>"
    unexpected = "Expected 200-299, 404, got 503 Service Unavailable. It asks to wait 30 s."
    assert template_of(unexpected) == "Expected 200-299, 404, got 503 Service Unavailable. It asks to wait <n> s."
    assert template_of("rows 200-299 of -5 are missing") == "rows <n> of <n> are missing"
    assert (template_of(""), signature_of("", "")) == ("", "")


@given(some.text(max_size=5_000), some.text(max_size=50))
def test_any_text_has_a_signature_of_bounded_length(message: str, kind: str) -> None:
    assert len(template_of(message)) <= TEMPLATE_LENGTH
    assert signature_of(kind, message) == signature_of(kind, message)
    assert len(signature_of(kind, message)) in (0, SIGNATURE_LENGTH)
