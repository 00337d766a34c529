"""Appearance: light or dark, and how dense, as a person chose. Kept in a cookie, so that the first paint is right."""

from __future__ import annotations

from django.http import HttpRequest

THEMES = {"": "As the system", "light": "Light", "dark": "Dark"}
DENSITIES = {"": "Comfortable", "compact": "Compact"}

COOKIES = {"theme": ("canopy-theme", THEMES), "density": ("canopy-density", DENSITIES)}
"""What can be chosen: the cookie that keeps it, and the choices by value."""


def appearance(request: HttpRequest) -> dict[str, dict[str, object]]:
    """Add `appearance` to every context: what is chosen, and what can be."""
    chosen = {}
    for name, (cookie, choices) in COOKIES.items():
        kept = request.COOKIES.get(cookie, "")
        chosen[name] = kept if kept in choices else ""
    return {"appearance": {**chosen, "themes": THEMES.items(), "densities": DENSITIES.items()}}
