"""Help: what the words mean, the keys, where the API and the documentation are, and the version."""

from __future__ import annotations

import tomllib
from functools import lru_cache

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe


@require_safe
def help_page(request: HttpRequest) -> HttpResponse:
    """Show the page."""
    return render(request, "help.html", {"version": _version()})


@lru_cache(maxsize=1)
def _version() -> str:
    """Return the version of this checkout, from which the dashboard runs."""
    project = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text())["project"]
    return str(project["version"])
