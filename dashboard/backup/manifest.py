"""What a backup says of itself: which release made it, of what, when, and the checksums of its parts."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from django.db import connection
from django.db.migrations.loader import MigrationLoader
from pydantic import BaseModel, Field

from dashboard.backup.errors import BackupError

FORMAT = 1
"""Of the file. A release reads its own format and all earlier ones."""

MANIFEST = "manifest.json"
"""Name of the part that comes last: a file without it was cut off."""

DATABASE, TEMPORAL, SECRET_KEY = "database", "temporal.sqlite3", "secret-key"
UPLOADS = "uploads/"
"""Names of the other parts; uploads by their names in the storage."""


class Part(BaseModel):
    """One part of a backup: its size in bytes and its SHA-256 in hexadecimal."""

    bytes: int
    sha256: str


class Manifest(BaseModel):
    """Contents and origin of a backup. Times are those at which the copy of a part began."""

    format: int = FORMAT
    canopy: str
    database: str
    migrations: list[str]
    made_at: datetime = Field(default_factory=lambda: datetime.now(UTC))
    database_at: datetime | None = None
    temporal_at: datetime | None = None
    secret_key: str
    missing_uploads: list[str] = Field(default_factory=list)
    parts: dict[str, Part] = Field(default_factory=dict)

    @property
    def migration(self) -> str:
        """The last of Canopy's own migrations."""
        return max((name for name in self.migrations if name.startswith("dashboard.")), default="none")

    @property
    def bytes(self) -> int:
        """What all parts have together."""
        return sum(part.bytes for part in self.parts.values())


def vendor() -> str:
    """Return which database this installation uses: postgresql or sqlite."""
    return str(connection.vendor)


def applied_migrations() -> list[str]:
    """Return the migrations of the database, as app.name."""
    loader = MigrationLoader(connection)
    return sorted(f"{app}.{name}" for app, name in loader.applied_migrations)


def check_release(manifest: Manifest) -> None:
    """Raise BackupError for a backup that this release cannot bring back."""
    if manifest.format > FORMAT:
        raise BackupError(
            f"The backup was made by Canopy {manifest.canopy} in a format that this release does not know. "
            "Install that release or a newer one."
        )
    disk = MigrationLoader(None).disk_migrations
    known = {f"{app}.{name}" for app, name in disk}
    known |= {f"{app}.{name}" for migration in disk.values() for app, name in migration.replaces}
    if unknown := sorted(set(manifest.migrations) - known):
        raise BackupError(
            f"The backup is of a newer release, Canopy {manifest.canopy}: its database has migrations that this one "
            f"does not know ({', '.join(unknown[:3])}). Install that release, and restore with it."
        )
    if manifest.database != vendor():
        raise BackupError(
            f"The backup is of a database of the kind {manifest.database}, and this installation uses {vendor()}. "
            "Set DATABASE_URL to a database of that kind (unset it for SQLite)."
        )


def names(parts: Collection[str]) -> str:
    """Return which kinds of parts a backup has."""
    kinds = [part for part in parts if not part.startswith(UPLOADS)]
    uploads = len(parts) - len(kinds)
    return ", ".join([*kinds, *([f"{uploads:,} uploads"] if uploads else [])])
