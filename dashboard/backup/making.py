"""Makes a backup while everything runs.

The embedded Temporal's database is copied first, then Canopy's, then the uploads. So Canopy's rows are never older than
Temporal: whatever Temporal has as completed has its results, and what it runs again finds the items that are done. The
other way round, results would be missing of what Temporal will not run again. Uploads never change, and those of all
rows are there after the rows were copied.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings

from dashboard.backup import postgres, sqlite
from dashboard.backup.archive import STDOUT, Writer, writing
from dashboard.backup.errors import BackupError
from dashboard.backup.manifest import DATABASE, SECRET_KEY, TEMPORAL, UPLOADS, Manifest, applied_migrations, vendor
from dashboard.models import Upload, UploadPart
from dashboard.server.common_key import fingerprint
from dashboard.server.upload_storage import IN_DATABASE
from orchestration.contracts.stores import StoreAway

log = logging.getLogger(__name__)

UPLOADS_AT_ONCE = 500
"""Rows that are read together."""


@dataclass(frozen=True)
class Contents:
    """What a backup contains besides the database and the uploads."""

    with_secrets: bool = False
    with_temporal: bool = True


def make_backup(target: str, version: str, contents: Contents, report: Callable[[str], None]) -> Manifest:
    """Write a backup to a path, or to standard output for `-`, and return its manifest.

    Copies of databases lie in a private folder beside it meanwhile, or for `-` in that for temporary files. `report` is
    told what is being done. Raises BackupError; at the path there is then what was there before.
    """
    manifest = Manifest(
        canopy=version, database=vendor(), migrations=applied_migrations(), secret_key=fingerprint(settings.SECRET_KEY)
    )
    beside = None if target == STDOUT else Path(target).absolute().parent
    if beside is not None and not beside.is_dir():
        raise BackupError(f"There is no folder {beside}.")
    try:
        with tempfile.TemporaryDirectory(prefix=".canopy-backup-", dir=beside) as folder:
            copies = _copy_databases(Path(folder), manifest, contents, report)
            with writing(target, manifest) as writer:
                for name, path in copies.items():
                    writer.add_file(name, path)
                    path.unlink()
                report("Uploads ...")
                _add_uploads(writer)
                if contents.with_secrets:
                    _add_secret_key(writer, Path(folder))
    except (OSError, StoreAway) as error:
        raise BackupError(f"The backup cannot be made: {error}.") from error
    return manifest


def _copy_databases(
    folder: Path, manifest: Manifest, contents: Contents, report: Callable[[str], None]
) -> dict[str, Path]:
    """Copy Temporal's database, where it is the embedded one, and then Canopy's: {name of the part: path}."""
    copies = dict[str, Path]()
    if contents.with_temporal and (embedded := embedded_temporal()).exists() and "TEMPORAL_ADDRESS" not in os.environ:
        report("Temporal's database ...")
        manifest.temporal_at, copies[TEMPORAL] = datetime.now(UTC), folder / TEMPORAL
        sqlite.copy_database(embedded, copies[TEMPORAL])
    report("Canopy's database ...")
    manifest.database_at, copies[DATABASE] = datetime.now(UTC), folder / DATABASE
    if manifest.database == "sqlite":
        sqlite.copy_database(Path(settings.DATABASES["default"]["NAME"]), copies[DATABASE])
    else:
        postgres.dump(copies[DATABASE])
    return copies


def embedded_temporal() -> Path:
    """Return where the embedded Temporal has its database, if it is used."""
    return Path(settings.HOME) / TEMPORAL


def _add_uploads(writer: Writer) -> None:
    """Write the content of all uploads that are not in the database. One that is gone by now is noted."""
    for upload in Upload.objects.order_by("pk").iterator(chunk_size=UPLOADS_AT_ONCE):
        name = str(upload.file.name)
        if settings.CANOPY_UPLOADS == IN_DATABASE and UploadPart.objects.filter(name=name).exists():
            continue
        try:
            size = upload.file.storage.size(name)
            with upload.reader() as content:
                writer.add(UPLOADS + name, content, size)
        except FileNotFoundError:
            writer.manifest.missing_uploads.append(name)


def _add_secret_key(writer: Writer, folder: Path) -> None:
    path = folder / SECRET_KEY
    path.write_text(settings.SECRET_KEY)
    writer.add_file(SECRET_KEY, path)
