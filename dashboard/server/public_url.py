"""Whole addresses of pages, for whoever reads them elsewhere: in a notification, or in an answer of the API."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest
from django.urls import get_script_prefix, reverse


def public_url(name: str, *arguments: object) -> str:
    """Return the address of a page, wherever it is asked for: outside of requests no prefix may be known."""
    within = reverse(name, args=arguments).removeprefix(get_script_prefix())
    return f"{settings.CANOPY_URL}/{within}"


def url_for(request: HttpRequest, name: str, *arguments: object) -> str:
    """Return the address of a page for whoever sent a request: below CANOPY_URL, or where it is not set, as asked."""
    if settings.ADDRESS.is_given:
        return public_url(name, *arguments)
    return request.build_absolute_uri(reverse(name, args=arguments))
