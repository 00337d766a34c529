from __future__ import annotations

import pytest
from django.test import RequestFactory

from dashboard.server.requests import page_number, whole_number


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("", None),
        ("0", 0),
        ("41", 41),
        ("-1", None),
        ("1.5", None),
        ("x", None),
        ("9" * 18, 10**18 - 1),
        ("9" * 19, None),
    ],
)
def test_only_decimal_digits_that_fit_a_database_are_a_whole_number(given: str, expected: int | None) -> None:
    assert whole_number(given, None) == expected


@pytest.mark.parametrize(("query", "expected"), [("", 1), ("page=3", 3), ("page=last", 1), ("other=3", 1)])
def test_a_page_number_is_the_first_where_it_is_nonsense(query: str, expected: int) -> None:
    assert page_number(RequestFactory().get(f"/?{query}")) == expected
