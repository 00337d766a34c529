"""Storage of static files under hashed names, also in our modules' imports, so that all may be cached forever."""

from __future__ import annotations

from typing import Any

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
