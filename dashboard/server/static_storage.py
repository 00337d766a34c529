"""Storage of static files under hashed names, also in our modules' imports, so that all may be cached forever."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.urls import get_script_prefix
from whitenoise.storage import CompressedManifestStaticFilesStorage

OUR_MODULES = "js/*.js"


class StaticStorage(CompressedManifestStaticFilesStorage):
    """Hashed and compressed files; Canopy's JavaScript modules import each other by hashed names.

    Django's own setting for this also covers the scripts of packages, which import modules that they do not ship.
    """

    patterns: tuple[tuple[str, Any], ...] = (
        *CompressedManifestStaticFilesStorage.patterns,
        (OUR_MODULES, CompressedManifestStaticFilesStorage._js_module_import_aggregation_patterns[1]),
    )

    def url(self, name: str | None, force: bool = False) -> str:
        """Return the address of a file."""
        return below_prefix(super().url(name, force))


def below_prefix(address: str) -> str:
    """Return a path below the prefix of this request: uvicorn's --root-path gives one that no setting knows."""
    prefix = get_script_prefix()
    return address if address.startswith(prefix) else prefix.rstrip("/") + address


def plain_address(name: str) -> str:
    """Return the address of a static file under its own name: it asks no manifest, which may be what is missing."""
    return below_prefix(f"{settings.STATIC_URL}{name}")
