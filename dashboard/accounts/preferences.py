"""A person's choice of theme, density and language, kept in cookies so that the first paint is right."""

from __future__ import annotations

from collections.abc import Mapping

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from dashboard.environment import cookie_name

THEMES: Mapping[str, object] = {"": _("System"), "light": _("Light"), "dark": _("Dark")}
DENSITIES: Mapping[str, object] = {"": _("Comfortable"), "compact": _("Compact")}
LANGUAGES: Mapping[str, object] = {"": _("Browser default"), **dict(settings.LANGUAGES)}

COOKIES: dict[str, tuple[str, Mapping[str, object]]] = {
    "theme": (cookie_name("canopy-theme", is_secure=settings.HTTPS, path=settings.SESSION_COOKIE_PATH), THEMES),
    "density": (cookie_name("canopy-density", is_secure=settings.HTTPS, path=settings.SESSION_COOKIE_PATH), DENSITIES),
    "language": (settings.LANGUAGE_COOKIE_NAME, LANGUAGES),
}
"""Preferences: the cookie of each, and its choices by value."""


def appearance(request: HttpRequest) -> dict[str, dict[str, object]]:
    """Context processor: add `appearance`, with what is chosen and the choices, to every template context."""
    chosen = {}
    for name, (cookie, choices) in COOKIES.items():
        kept = request.COOKIES.get(cookie, "")
        chosen[name] = kept if kept in choices else ""
    return {
        "appearance": {
            **chosen,
            "themes": THEMES.items(),
            "densities": DENSITIES.items(),
            "languages": LANGUAGES.items(),
        }
    }
