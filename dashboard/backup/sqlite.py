"""Copies of SQLite databases that are in use, and which processes use one."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from dashboard.backup.errors import BackupError, BadBackup

BESIDE = ("", "-wal", "-shm", "-journal")
"""Suffixes of the files that a database consists of."""

BUSY_SECONDS = 60.0


def copy_database(source: Path, target: Path) -> None:
    """Copy a database as it is at one moment, whoever writes to it meanwhile. Raises BackupError."""
    try:
        with (
            closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True, timeout=BUSY_SECONDS)) as live,
            closing(sqlite3.connect(target)) as copy,
        ):
            live.backup(copy, pages=-1)  # in one step: in WAL mode writers go on, and it never begins again
            copy.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        raise BackupError(f"{source} cannot be copied: {error}.") from error


def check_database(path: Path) -> None:
    """Raise BadBackup for a file that is no whole database."""
    try:
        with closing(sqlite3.connect(path)) as database:
            (said,) = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        raise BadBackup(f"The database in the backup cannot be read: {error}.") from error
    if said != "ok":
        raise BadBackup(f"The database in the backup is damaged: {said}.")


def users_of(path: Path) -> list[int]:
    """Return the processes other than this one that have a database open, as far as this user may see (Linux)."""
    wanted, found = {str(path.resolve()) + suffix for suffix in BESIDE}, list[int]()
    for process in Path("/proc").glob("[0-9]*"):
        if int(process.name) == os.getpid():
            continue
        with suppress(OSError):
            if any(_target_of(handle) in wanted for handle in (process / "fd").iterdir()):
                found.append(int(process.name))
    return sorted(found)


def _target_of(handle: Path) -> str:
    try:
        return os.readlink(handle)  # noqa: PTH115  a link to a socket is no path
    except OSError:
        return ""


def move_database(path: Path, folder: Path) -> None:
    """Move the files of a database into a folder."""
    for suffix in BESIDE:
        file = path.with_name(path.name + suffix)
        if file.exists():
            file.replace(folder / file.name)


def remove_database(path: Path) -> None:
    """Remove the files of a database."""
    for suffix in BESIDE:
        path.with_name(path.name + suffix).unlink(missing_ok=True)
