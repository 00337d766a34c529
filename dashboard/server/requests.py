"""What views read from a request: page numbers and other query parameters."""

from __future__ import annotations

from django.http import HttpRequest


def page_number(request: HttpRequest, name: str = "page") -> int:
    """Return a page number from the address; 1 if it is nonsense."""
    given = request.GET.get(name, "")
    return int(given) if given.isdecimal() and len(given) < 8 else 1
