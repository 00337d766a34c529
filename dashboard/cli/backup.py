"""canopy backup: one file with everything that Canopy keeps, made while it runs."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from dashboard.cli.django_setup import with_django
from dashboard.cli.examples import examples
from dashboard.cli.refusal import Refused
from dashboard.resources import version

EXAMPLES = examples(
    ("every night, from cron or a CronJob", "canopy backup /backups/canopy-$(date +%F).tar.gz"),
    ("to another machine", "canopy backup - | ssh elsewhere 'cat > canopy.tar.gz'"),
    ("is the file complete, and what is in it?", "canopy backup --verify /backups/canopy-2026-11-29.tar.gz"),
)


def backup(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Where to write it; - for standard output.")],
    verify: Annotated[bool, typer.Option("--verify", help="Read an existing FILE and compare its checksums.")] = False,
    with_secrets: Annotated[
        bool, typer.Option("--with-secrets", help="Include the secret key. Keep the file as safe as the key.")
    ] = False,
    without_temporal: Annotated[
        bool, typer.Option("--without-temporal", help="Leave the embedded Temporal's database out.")
    ] = False,
) -> None:
    """Write everything that Canopy keeps to one file, while it runs.

    That is the database, the uploads and the database of the Temporal that `canopy run` starts. A Temporal of your own
    is backed up by its own means.

    Ends with 0, or with 1 where the backup cannot be made or is not whole. FILE is readable by its user alone, and is
    there only once it is complete.
    """
    with_django()
    from dashboard.backup.archive import verified
    from dashboard.backup.errors import BackupError
    from dashboard.backup.making import Contents, make_backup
    from dashboard.backup.manifest import names

    try:
        if verify:
            manifest = verified(Path(file))
        else:
            contents = Contents(with_secrets, with_temporal=not without_temporal)
            manifest = make_backup(file, version(), contents, report)
    except BackupError as error:
        raise Refused(str(error), exit_status=1) from None
    age = datetime.now(UTC) - manifest.made_at
    report(
        f"{'Whole' if verify else 'Done'}: Canopy {manifest.canopy}, {manifest.database}, {manifest.migration}, made "
        f"{manifest.made_at:%Y-%m-%d %H:%M:%S} UTC ({int(age.total_seconds()) // 60:,} minutes ago), "
        f"{manifest.bytes / 1e6:,.1f} MB: {names(manifest.parts)}."
    )
    for name in manifest.missing_uploads[:5]:
        report(f"The upload {name} was gone already.")


def report(text: str) -> None:
    """Say what is being done, on standard error."""
    typer.echo(text, err=True)
