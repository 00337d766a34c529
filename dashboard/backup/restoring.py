"""Brings a backup back, into an installation of which no process runs.

The whole file is read and compared with its checksums first. Then come the uploads, which only add to what is there,
and at last the database: PostgreSQL's in one transaction, SQLite's by a change of names. Whatever fails before that
leaves the installation as it was.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, cast

from django.apps import apps
from django.conf import settings
from django.core.files import File
from django.core.files.storage import FileSystemStorage, Storage, default_storage
from django.core.management import call_command
from django.db import connection, connections
from django.db.models import F
from django.db.models.functions import Now

from dashboard.backup import postgres, sqlite
from dashboard.backup.archive import PIECE, reading, verified
from dashboard.backup.errors import BackupError
from dashboard.backup.making import embedded_temporal
from dashboard.backup.manifest import DATABASE, SECRET_KEY, TEMPORAL, UPLOADS, Manifest, check_release, vendor
from dashboard.models import GENERATION, Batch, Lease, Upload
from dashboard.server.common_key import fingerprint
from dashboard.server.processes import CannotRun, lock_home
from dashboard.server.upload_storage import IN_DATABASE
from orchestration.contracts.stores import StoreAway

PRIVATE = 0o600


@dataclass
class Restored:
    """What came of it: the manifest, what the person should know, and where what was replaced lies."""

    manifest: Manifest
    notes: list[str] = field(default_factory=list)
    kept: Path | None = None


def restore(path: Path, *, replace: bool, report: Callable[[str], None]) -> Restored:
    """Restore a backup. `replace` allows that there is something already.

    Raises BackupError, and the installation is as it was; uploads of the backup may have been added.
    """
    report("Checking the file ...")
    manifest = verified(path)
    check_release(manifest)
    with _alone():
        if not replace and (there := _contents()):
            raise BackupError(f"The database is not empty: it has {there}. Use --replace to restore it all the same.")
        done = Restored(manifest)
        home = Path(settings.HOME)
        try:
            with tempfile.TemporaryDirectory(prefix=".canopy-restore-", dir=home) as folder:
                report("Uploads ...")
                staged = _stage(path, Path(folder), manifest)
                report("Database ...")
                _bring_database_back(staged[DATABASE], manifest, done)
                _bring_files_back(staged, done)
        except (OSError, StoreAway) as error:
            raise BackupError(f"The backup cannot be restored: {error}.") from error
        report("Migrations ...")
        _begin_anew()
        _note_what_differs(done)
    return done


@contextmanager
def _alone() -> Iterator[None]:
    """Lock the home, and raise BackupError while a process of the installation runs."""
    try:
        lock_home(Path(settings.HOME))
    except CannotRun as error:
        raise BackupError(f"Stop Canopy first: {error}") from error
    if vendor() == "sqlite":
        users = [*sqlite.users_of(_database_file()), *sqlite.users_of(embedded_temporal())]
        if users:
            raise BackupError(f"Stop Canopy first: processes {', '.join(map(str, users))} use its database.")
    else:
        postgres.require_own_sessions()
        if leader := _leader():
            raise BackupError(f"Stop Canopy first: {leader} runs, as its lease in the database says.")
        _disconnect()
        if others := postgres.other_connections():
            raise BackupError(f"Stop Canopy first. Connected to the database: {'; '.join(others[:5])}.")
    yield


def _leader() -> str:
    """Return which process has a lease in the database; empty where there is none, or no such table."""
    if Lease._meta.db_table not in connection.introspection.table_names():
        return ""
    return Lease.objects.filter(expires_at__gt=Now()).exclude(holder="").values_list("holder", flat=True).first() or ""


def _contents() -> str:
    """Return what the database has, for a person; empty for an empty one."""
    tables = set(connection.introspection.table_names())
    for model in (Batch, Upload, apps.get_model("auth", "User")):
        if model._meta.db_table in tables and (number := model._base_manager.count()):
            return f"{number:,} {model._meta.verbose_name_plural}"
    return ""


def _stage(path: Path, folder: Path, manifest: Manifest) -> dict[str, Path]:
    """Write databases and key into a folder, and uploads to their storage; return the former by name."""
    staged = dict[str, Path]()
    with reading(path) as parts:
        for name, content in parts:
            if name in (DATABASE, TEMPORAL, SECRET_KEY):
                staged[name] = folder / name
                with os.fdopen(os.open(staged[name], os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE), "wb") as file:
                    shutil.copyfileobj(content, file, PIECE)
                    os.fsync(file.fileno())
            elif name.startswith(UPLOADS):
                _store(name.removeprefix(UPLOADS), content, manifest.parts[name].bytes)
    if DATABASE not in staged:
        raise BackupError("The backup has no database.")
    for each in [TEMPORAL, *([DATABASE] if vendor() == "sqlite" else [])]:
        if each in staged:
            sqlite.check_database(staged[each])
    return staged


def _store(name: str, content: IO[bytes], size: int) -> None:
    """Write an upload to the storage, unless it is there as a whole. Its name is its own.

    Where uploads are in the database, one of a backup lay in the home before, and does so again.
    """
    is_in_database = settings.CANOPY_UPLOADS == IN_DATABASE
    storage: Storage = FileSystemStorage(settings.MEDIA_ROOT) if is_in_database else default_storage
    if storage.exists(name):
        if storage.size(name) == size:
            return
        storage.delete(name)
    storage.save(name, File(cast("IO[bytes]", _Readable(content, size))))


class _Readable:
    """A part of a backup as a file that a storage can save: it is read once."""

    def __init__(self, content: IO[bytes], size: int) -> None:
        self._content, self.size = content, size

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        return self._content.read(size)


def _bring_database_back(staged: Path, manifest: Manifest, done: Restored) -> None:
    if manifest.database == "postgresql":
        own = _own_tables()
        _disconnect()
        postgres.bring_back(staged, own)
        return
    target, has_tables = _database_file(), bool(connection.introspection.table_names())
    connections.close_all()
    if has_tables:
        sqlite.move_database(target, _kept(done))
    else:
        sqlite.remove_database(target)
    staged.replace(target)


def _disconnect() -> None:
    """Close this process's connections."""
    connections.close_all()
    if close := getattr(connection, "close_pool", None):
        close()


def _own_tables() -> list[str]:
    """Return the tables of the database that are Canopy's."""
    known = set(connection.introspection.django_table_names()) | {"django_migrations"}
    return sorted(known & set(connection.introspection.table_names()))


def _bring_files_back(staged: dict[str, Path], done: Restored) -> None:
    """Bring Temporal's database and the secret key back, where this installation takes them from its home."""
    if TEMPORAL in staged and "TEMPORAL_ADDRESS" in os.environ:
        done.notes.append("TEMPORAL_ADDRESS is set: the database of the embedded Temporal was not restored.")
    elif "TEMPORAL_ADDRESS" not in os.environ:
        if embedded_temporal().exists():
            sqlite.move_database(embedded_temporal(), _kept(done))
        if TEMPORAL in staged:
            staged[TEMPORAL].replace(embedded_temporal())
    if SECRET_KEY in staged and not (os.environ.get("CANOPY_SECRET_KEY") or os.environ.get("SECRET_KEY")):
        path = Path(settings.HOME) / SECRET_KEY
        if path.exists():
            path.replace(_kept(done) / SECRET_KEY)
        staged[SECRET_KEY].replace(path)
        settings.SECRET_KEY = path.read_text().strip()


def _kept(done: Restored) -> Path:
    """Return the folder for what is replaced."""
    if done.kept is None:
        done.kept = Path(settings.HOME) / f"replaced-{datetime.now(UTC):%Y%m%dT%H%M%S}"
        done.kept.mkdir(mode=0o700)
    return done.kept


def _begin_anew() -> None:
    """Migrate what an earlier release has made, let browsers read all anew, and give back what processes had."""
    call_command("migrate", verbosity=0)
    Batch.objects.update(revision=F("revision") + GENERATION)
    Lease.objects.update(holder="", expires_at=None)
    connections.close_all()


def _note_what_differs(done: Restored) -> None:
    manifest = done.manifest
    if manifest.secret_key != fingerprint(settings.SECRET_KEY):
        done.notes.append(
            "The secret key is not that of the backup: everybody has to log in again. Web processes that share a "
            "database do not start before `canopy manage acceptkey`, or with the former key."
        )
    if manifest.missing_uploads:
        done.notes.append(f"{len(manifest.missing_uploads):,} uploads were gone when the backup was made.")
    if manifest.temporal_at is None:
        done.notes.append(
            "The backup has no Temporal: batches that have gone on since it was made say which results they lack."
        )


def _database_file() -> Path:
    return Path(settings.DATABASES["default"]["NAME"])
