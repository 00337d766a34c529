"""The texts of scripts, in the language that the address names."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponseBase
from django.utils import translation
from django.views.decorators.cache import cache_control
from django.views.i18n import JavaScriptCatalog

CACHED = 3600
"""Seconds."""

catalog = JavaScriptCatalog.as_view(packages=["dashboard"])


@login_not_required
@cache_control(max_age=CACHED)
def script_texts(request: HttpRequest, language: str) -> HttpResponseBase:
    """Return the catalogue that defines gettext and ngettext; of a language that is not known, English."""
    with translation.override(language):
        return catalog(request)
