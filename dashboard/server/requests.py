"""Requests: what htmx says of one, and integers and page numbers among its parameters, and the way back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from django.http import HttpRequest
from django.utils.http import url_has_allowed_host_and_scheme
from django_htmx.middleware import HtmxDetails

DIGITS = 18
"""The most digits of a decimal number that always fits into a database's 64-bit integer."""

Default = TypeVar("Default")


class HtmxHttpRequest(HttpRequest):
    """A request that HtmxMiddleware has seen: `htmx` is true where htmx sent it, and has what its headers say."""

    htmx: HtmxDetails


def wants_fragment(request: HtmxHttpRequest) -> bool:
    """Whether htmx swaps the response into the page: not when it restores a whole page that its history lost."""
    return bool(request.htmx) and not request.htmx.history_restore_request


def whole_number(given: str, default: Default) -> int | Default:
    """Return what a person or a browser gave as a number; the default if it is not decimal digits, or too many."""
    return int(given) if given.isdecimal() and len(given) <= DIGITS else default


def whole_numbers(given: Iterable[str]) -> list[int]:
    """Return those of several values that are whole numbers."""
    return [number for each in given if (number := whole_number(each, None)) is not None]


def page_number(request: HttpRequest, name: str = "page") -> int:
    """Return the page number in a request's query string; 1 where there is none."""
    return whole_number(request.GET.get(name, ""), 1)


def way_back(request: HttpRequest, default: str) -> str:
    """Return the address in the form's `back`, if it is one of ours; the default otherwise."""
    back = request.POST.get("back", "")
    is_ours = url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure())
    return back if is_ours else default
