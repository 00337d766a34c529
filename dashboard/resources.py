"""Where the files are that are no Python: beside the packages in a checkout, within one of them in an installation."""

from __future__ import annotations

import os
import tomllib
from importlib.metadata import version as version_of
from pathlib import Path

from orchestration.extras import DISTRIBUTION

PACKAGE = Path(__file__).resolve().parent

INSTALLED = PACKAGE / "share"
"""Where docs/site/build_hook.py puts those files in a wheel; a checkout has no such folder."""

CHECKOUT = None if INSTALLED.is_dir() else PACKAGE.parent
"""The checkout that this is run from; None in an installation."""

SHARE = CHECKOUT or INSTALLED
"""Has `templates`, `static`, `docs` and the Procfile."""

TEMPLATES = SHARE / "templates"
STATIC = SHARE / "static"
DOCS = SHARE / "docs"
SITE = CHECKOUT / "build" / "docs" if CHECKOUT else INSTALLED / "site"
"""The built site of docs/, which is there once `make docs` has built it; a wheel always has it."""
PROCFILE = SHARE / "Procfile"
LOCALE = PACKAGE / "locale"


def default_home() -> Path:
    """Return the CANOPY_HOME of who names none: `var` of the checkout; of an installation, the user's folder for data.

    That is the same wherever a command is started. A folder below the current one would be another database and another
    secret key with each, and one beside the packages goes with the next upgrade.
    """
    if CHECKOUT is not None:
        return CHECKOUT / "var"
    return Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / "canopy"


def version() -> str:
    """Return the version of Canopy."""
    if CHECKOUT is not None:
        return str(tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["version"])
    return version_of(DISTRIBUTION)
