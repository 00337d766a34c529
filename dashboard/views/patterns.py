"""The guide to fan-out patterns: docs/patterns.md as a page."""

from __future__ import annotations

from functools import lru_cache

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_safe
from markdown_it import MarkdownIt

GUIDE = settings.BASE_DIR / "docs" / "patterns.md"


@require_safe
def pattern_guide(request: HttpRequest) -> HttpResponse:
    """Show the guide."""
    return render(request, "launch/patterns.html", {"guide": _guide()})


@lru_cache(maxsize=1)
def _guide() -> SafeString:
    """Render the guide. Its markup is trusted because it is part of Canopy; raw HTML in it is escaped anyway."""
    html = MarkdownIt("commonmark", {"html": False}).enable("table").render(GUIDE.read_text())
    html = html.replace("<table>", '<table tabindex="0">')  # focusable, because it scrolls on narrow screens
    rendered: SafeString = mark_safe(html)  # noqa: S308
    return rendered
