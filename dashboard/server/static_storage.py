"""How static files are stored: hashed names, also inside our modules' imports, so that all may be cached forever."""

from __future__ import annotations

from typing import Any

from whitenoise.storage import CompressedManifestStaticFilesStorage

OUR_MODULES = "js/*.js"


class StaticStorage(CompressedManifestStaticFilesStorage):
    """Hashed and compressed files; a module of ours imports the hashed names of the modules it needs.

    Django's own switch for this covers packages' scripts too, which name modules that they do not ship.
    """

    patterns: tuple[tuple[str, Any], ...] = (
        *CompressedManifestStaticFilesStorage.patterns,
        (OUR_MODULES, CompressedManifestStaticFilesStorage._js_module_import_aggregation_patterns[1]),
    )
