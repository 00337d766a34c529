"""Fan-out patterns: the presets by group, and docs/patterns.md as a page."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from dashboard.accounts.permissions import may_operate
from dashboard.pages.patterns import PatternGuidePage, PatternListPage, guide_sections, section_of
from orchestration.plan.presets import by_group


@require_safe
def launch_patterns(request: HttpRequest) -> HttpResponse:
    """Show the presets by group."""
    groups = {name: [(preset, section_of(preset)) for preset in presets] for name, presets in by_group().items()}
    return render(request, "launch/launch_patterns.html", {"page": PatternListPage(groups)})


@require_safe
def pattern_guide(request: HttpRequest) -> HttpResponse:
    """Show the guide to choosing a pattern."""
    page = PatternGuidePage(guide_sections(), may_operate(request.user))
    return render(request, "launch/patterns.html", {"page": page})
