"""canopy migrate: the database's tables as this release needs them."""

from __future__ import annotations

from typing import Annotated

import typer

from dashboard.cli.django_setup import call, refusing, with_django
from dashboard.cli.examples import examples

EXAMPLES = examples(
    ("before the first start, and after each upgrade", "canopy migrate"),
    ("in a script: is there anything to do?", "canopy migrate --check || canopy migrate"),
)

IsAsked = Annotated[bool, typer.Option("--check", help="Change nothing; end with 1 if the database is not migrated.")]


def migrate(check: IsAsked = False) -> None:
    """Create or upgrade the database's tables.

    Does nothing if they are as this release needs them. Several at once are safe, such as an init container of each
    pod: one migrates, and the others wait for it. DATABASE_URL says which database; by default it is SQLite in
    CANOPY_HOME.
    """
    if not check:
        return call("migrate")
    with_django()
    from dashboard.database.migration_state import missing_migrations

    with refusing():
        missing = missing_migrations()
    if missing:
        typer.echo("\n".join(missing))
        raise typer.Exit(1)
    return None
