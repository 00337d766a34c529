"""PostgreSQL's own programs: a dump of one snapshot, and its return in one transaction."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from django.db import connection

from dashboard.backup.errors import BackupError
from dashboard.database.watched_connection import leads_to_pooler

DEBIAN = Path("/usr/lib/postgresql")
"""Where Debian keeps the programs of each release."""

PIECE = 1024 * 1024
GONE_WITHIN = 3.0
"""Seconds after which a connection that was just closed is gone."""

KEEP = ("--no-owner", "--no-privileges")
"""What is restored belongs to the user of the database it is restored to."""

_ENVIRONMENT = {
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "options": "PGOPTIONS",
    "connect_timeout": "PGCONNECT_TIMEOUT",
}
"""Options of a connection as variables of libpq."""


def require_own_sessions() -> None:
    """Raise BackupError behind a pooler: what PostgreSQL's programs set on their sessions would be set for others."""
    connection.ensure_connection()
    if leads_to_pooler(connection.connection):
        raise BackupError("DATABASE_URL leads through a connection pooler. Give this command one that leads past it.")


def dump(target: Path) -> None:
    """Write a dump in the custom format: everything as it is in one snapshot. Raises BackupError."""
    require_own_sessions()
    done = subprocess.run(
        [program("pg_dump"), "--format=custom", "--no-password", *KEEP, "--file", str(target)],
        env=_environment(),
        stderr=subprocess.PIPE,
        check=False,
    )
    if done.returncode:
        raise BackupError(f"pg_dump failed: {_last_line(done.stderr)}")


def bring_back(dump_file: Path, drop: Sequence[str]) -> None:
    """Drop tables and restore a dump, in one transaction. Raises BackupError, and nothing has changed then."""
    first = "".join(f"DROP TABLE IF EXISTS {connection.ops.quote_name(name)} CASCADE;" for name in drop)
    reading = subprocess.Popen(
        [program("pg_restore"), *KEEP, "--exit-on-error", "--file=-", str(dump_file)],
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    writing = subprocess.Popen(
        [program("psql"), "-X", "-q", "--no-password", "-v", "ON_ERROR_STOP=1", "-1", "-c", first or ";", "-f", "-"],
        env=_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert reading.stdout is not None
    assert reading.stderr is not None
    assert writing.stdin is not None
    is_taken = _pump(reading.stdout, writing.stdin)
    reading.stdout.close()
    why = reading.stderr.read()
    is_broken = reading.wait() != 0
    if is_broken and is_taken:
        writing.kill()  # at the end of its input it would commit what it has
    _, said = writing.communicate()
    if writing.returncode or is_broken:
        raise BackupError(f"The database cannot be restored, and is as it was: {_last_line(said or why)}")


def _pump(source: IO[bytes], target: IO[bytes]) -> bool:
    """Pass on what is read, and return whether all of it was taken."""
    try:
        while piece := source.read(PIECE):
            target.write(piece)
        target.flush()
    except BrokenPipeError:
        return False
    return True


def other_connections() -> list[str]:
    """Return who is connected to the database, for a person; this process has to have no connection itself.

    Raises BackupError.
    """
    query = (
        "SELECT pid || coalesce(nullif(' (' || application_name || ')', ' ()'), '') || ' from ' ||"
        " coalesce(host(client_addr), 'this machine') FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND backend_type = 'client backend' ORDER BY pid"
    )
    deadline = time.monotonic() + GONE_WITHIN
    while (found := _lines_of(query)) and time.monotonic() < deadline:
        time.sleep(0.2)  # of a connection that was closed the server has to notice it
    return found


def _lines_of(query: str) -> list[str]:
    asked = [program("psql"), "-X", "-At", "--no-password", "-c", query]
    done = subprocess.run(asked, env=_environment(), capture_output=True, check=False)
    if done.returncode:
        raise BackupError(f"The database cannot be asked who uses it: {_last_line(done.stderr)}")
    return done.stdout.decode().splitlines()


def program(name: str) -> str:
    """Return the path of one of PostgreSQL's programs. Raises BackupError where it is not installed."""
    newest = sorted(DEBIAN.glob(f"*/bin/{name}"), key=lambda path: float(path.parts[-3]))
    found = str(newest[-1]) if newest else shutil.which(name)
    if not found:
        raise BackupError(
            f"{name} is not installed. Install PostgreSQL's client programs (Debian: postgresql-client), of the "
            "server's release or a newer one."
        )
    return found


def _environment() -> dict[str, str]:
    """Return the environment in which libpq finds the database: a command line is seen by everybody."""
    settings = connection.settings_dict
    given = {
        "PGHOST": settings["HOST"],
        "PGPORT": str(settings["PORT"] or ""),
        "PGUSER": settings["USER"],
        "PGPASSWORD": settings["PASSWORD"],
        "PGDATABASE": settings["NAME"],
    }
    options = settings["OPTIONS"]
    given |= {name: str(options[option]) for option, name in _ENVIRONMENT.items() if option in options}
    return os.environ | {name: value for name, value in given.items() if value}


def _last_line(said: bytes) -> str:
    lines = [line for line in said.decode(errors="replace").splitlines() if line.strip()]
    return next((line for line in lines if "error" in line.lower()), lines[-1] if lines else "it said nothing")
