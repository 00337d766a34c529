"""canopy --version."""

from __future__ import annotations

import typer

from dashboard.resources import version


def print_version(wanted: bool) -> None:
    """Print the version of Canopy, and end."""
    if wanted:
        typer.echo(f"canopy {version()}")
        raise typer.Exit
