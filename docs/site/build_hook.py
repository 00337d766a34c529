"""What the build of a wheel does beyond copying packages: it adds what is no Python, and the built site of docs/."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SHARE = "dashboard/share"
"""Where `dashboard.resources` looks for them in an installation; an editable one has those of its checkout."""

SHARED = ("templates", "static", "docs", "Procfile", "CHANGELOG.md")


class SiteHook(BuildHookInterface):
    """Add what is shared, and build the site, unless the installation is an editable one."""

    folder: tempfile.TemporaryDirectory[str] | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build into a folder of its own: another may be under way. Without MkDocs take what `make docs` built."""
        if version == "editable":
            return
        site = Path(self.root, "build", "docs")
        if find_spec("mkdocs") is not None:
            self.folder = tempfile.TemporaryDirectory(prefix="canopy-docs-")
            site = Path(self.folder.name)
            command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
            subprocess.run(command, cwd=self.root, check=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"})
        elif not (site / "index.html").is_file():
            self.app.abort("The wheel contains the site of docs/: install mkdocs-material, or run `make docs` before.")
        build_data["force_include"] |= {name: f"{SHARE}/{name}" for name in SHARED} | {str(site): f"{SHARE}/site"}

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the folder."""
        if self.folder is not None:
            self.folder.cleanup()
