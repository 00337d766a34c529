"""What Canopy is called where packages come from, and how a part of it that is missing is installed."""

from __future__ import annotations

DISTRIBUTION = "canopy-fanout"
"""The name on package indexes. The command and the product are called canopy; that name belongs to another project."""


def how_to_install(extra: str) -> str:
    """Return the command that installs Canopy with an extra, such as `dashboard`."""
    return f"pip install '{DISTRIBUTION}[{extra}]'"
