"""Help: what the words mean, the keys, where the API and the documentation are, and the version."""

from __future__ import annotations

from functools import lru_cache

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from dashboard.resources import version


@require_safe
def help_page(request: HttpRequest) -> HttpResponse:
    """Show the page."""
    return render(request, "help.html", {"version": _version()})


@lru_cache(maxsize=1)
def _version() -> str:
    """Return the version, which is read once."""
    return version()
