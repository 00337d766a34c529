"""canopy restore: brings back what `canopy backup` has made."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dashboard.cli.backup import report
from dashboard.cli.django_setup import with_django
from dashboard.cli.examples import examples
from dashboard.cli.refusal import Refused

EXAMPLES = examples(
    ("into a new installation", "canopy restore canopy-2026-11-29.tar.gz"),
    ("in place of what is there, after stopping everything", "canopy restore --replace canopy-2026-11-29.tar.gz"),
)


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `canopy backup` has written.")],
    replace: Annotated[
        bool,
        typer.Option(
            "--replace", help="Replace what is in the database. An SQLite database is kept in a folder beside it."
        ),
    ] = False,
) -> None:
    """Restore a backup.

    Stop every web process and worker first, and start them again afterwards.

    The file is checked as a whole before anything is touched. A backup of an earlier release is migrated; one of a
    newer release is refused. Ends with 1 if it cannot be restored; the database is then as it was.
    """
    with_django()
    from dashboard.backup.errors import BackupError
    from dashboard.backup.restoring import restore as bring_back

    try:
        done = bring_back(file, replace=replace, report=report)
    except BackupError as error:
        raise Refused(str(error), exit_status=1) from None
    for note in done.notes:
        report(note)
    if done.kept is not None:
        report(f"What was replaced is in {done.kept}; remove it once all is well.")
    report(f"Restored the backup of {done.manifest.made_at:%Y-%m-%d %H:%M:%S} UTC. Start Canopy now.")
