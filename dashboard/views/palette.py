"""The command palette, as far as the server knows what there is."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from dashboard.accounts.permissions import may_operate
from dashboard.pages.palette import palette


@require_safe
def command_palette(request: HttpRequest) -> HttpResponse:
    """Show what the text in `q` leads to, as options of a listbox."""
    groups = palette(request.user, request.GET.get("q", ""))
    context = {"groups": groups, "may_operate": may_operate(request.user)}
    return render(request, "partials/_palette.html", context)
