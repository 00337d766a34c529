"""Reading of query parameters: integers and page numbers, with a default for what is none."""

from __future__ import annotations

from typing import TypeVar

from django.http import HttpRequest

DIGITS = 18
"""The most digits of a decimal number that always fits into a database's 64-bit integer."""

Default = TypeVar("Default")


def whole_number(given: str, default: Default) -> int | Default:
    """Return what a person or a browser gave as a number; the default if it is not decimal digits, or too many."""
    return int(given) if given.isdecimal() and len(given) <= DIGITS else default


def page_number(request: HttpRequest, name: str = "page") -> int:
    """Return the page number in a request's query string; 1 where there is none."""
    return whole_number(request.GET.get(name, ""), 1)
