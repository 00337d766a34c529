"""canopy run: everything on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from dashboard.cli.django_setup import call, find_own_modules
from dashboard.cli.examples import examples

FIRST_STEPS = examples(
    ("try it: everything on this machine, with an address and a login", "canopy run"),
    ("serve: create the tables, then start any number of web processes and workers", "canopy migrate"),
    ("pages and API", "canopy web"),
    ("workflows and items", "canopy worker"),
    ("find out what is wrong", "canopy check"),
    title="First steps",
)
EXAMPLES = examples(
    ("start, and find the address and the login in the last line", "canopy run"),
    ("on another port, with data in a folder of its own", "PORT=9000 CANOPY_HOME=/srv/canopy canopy run"),
    ("with a Temporal of your own", "TEMPORAL_ADDRESS=temporal.internal:7233 canopy run"),
)


def run(
    reload: Annotated[
        bool, typer.Option("--reload", help="Restart worker and web when a Python file changes, and show their logs.")
    ] = False,
) -> None:
    """Run the dashboard, a worker and Temporal on this machine.

    Creates the database and a first login, and prints where the dashboard is. Ctrl-C stops everything; batches go on
    with the next run. Starts no Temporal if TEMPORAL_ADDRESS, TEMPORAL_PROFILE or TEMPORAL_CONFIG_FILE is set. Data is
    kept in CANOPY_HOME.
    """
    find_own_modules()
    call("run", reload=reload)
