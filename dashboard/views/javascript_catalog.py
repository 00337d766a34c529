"""The message catalogue of scripts, in the language of the URL."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponseBase
from django.utils import translation
from django.views.decorators.cache import cache_control
from django.views.i18n import JavaScriptCatalog

CACHE_SECONDS = 3600
"""Seconds."""

catalog = JavaScriptCatalog.as_view(packages=["dashboard"])


@login_not_required
@cache_control(max_age=CACHE_SECONDS)
def javascript_catalog(request: HttpRequest, language: str) -> HttpResponseBase:
    """Return the script that defines gettext and ngettext; English for a language that is not installed.

    Django keeps the catalogue of each language that it was ever asked for.
    """
    with translation.override(language if language in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE):
        return catalog(request)
