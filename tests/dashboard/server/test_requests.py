from __future__ import annotations

import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from django_htmx.middleware import HtmxMiddleware

from dashboard.server.requests import page_number, wants_fragment, whole_number, whole_numbers


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


def test_what_is_no_whole_number_is_left_out_of_several() -> None:
    assert whole_numbers(["3", "", "x", "41", "9" * 19]) == [3, 41]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, False),
        ({"HX-Request": "true"}, True),
        ({"HX-Request": "true", "HX-History-Restore-Request": "true"}, False),
    ],
)
def test_a_fragment_is_what_htmx_swaps_in_but_a_restored_page_is_whole(headers: dict[str, str], expected: bool) -> None:
    request = RequestFactory().get("/", headers=headers)
    HtmxMiddleware(lambda _: HttpResponse())(request)
    assert wants_fragment(request) is expected  # type: ignore[arg-type]
