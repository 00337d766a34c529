"""Files: the home and what is in it, who may read it, room on its disk, and the storage of uploads."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from dashboard.environment import SHARED
from dashboard.preflight.findings import Finding, fail, ok, warn

LITTLE, TOO_LITTLE = 2 * 1024**3, 200 * 1024**2
"""Bytes free: 100,000 items take some 60 MB, and a database without room stops."""


def file_findings() -> Iterator[Finding]:
    """Yield what there is to say about the home, its disk and the uploads."""
    home = Path(settings.HOME)
    yield _home(home)
    yield from _rights(home)
    yield _room(home)
    yield _uploads()


def _home(home: Path) -> Finding:
    if os.access(home, os.W_OK | os.X_OK):
        return ok("home", f"{home} can be written to.")
    return fail("home", f"{home} cannot be written to.", "Set CANOPY_HOME to a folder of this user.")


def _rights(home: Path) -> Iterator[Finding]:
    """Yield what others may read, although it holds keys, passwords or items."""
    names = ("secret-key", "first-login.json", "canopy.sqlite3", "uploads")
    found = [home, *(home / name for name in names)]
    is_open = [path for path in found if path.exists() and path.stat().st_mode & SHARED]
    if not is_open:
        yield ok("rights", "Only this user can read what is in CANOPY_HOME.")
    for path in is_open:
        mode = f"{path.stat().st_mode & 0o777:o}"
        yield warn("rights", f"Others may use {path} (mode {mode}).", f"Run `chmod go= {path}`.")


def _room(home: Path) -> Finding:
    free = shutil.disk_usage(home).free
    message = f"{free / 1024**3:.1f} GB are free in {home}."
    if free < TOO_LITTLE:
        return fail("disk", message, "Make room, or delete old batches with `canopy prune`.")
    if free < LITTLE:
        return warn("disk", message, "Make room soon, or delete old batches with `canopy prune`.")
    return ok("disk", message)


def _uploads() -> Finding:
    """Write a small file where uploads are kept, read it and delete it."""
    content = uuid4().hex.encode()
    try:
        name = default_storage.save(f"check-{uuid4().hex}", ContentFile(content))
        try:
            with default_storage.open(name) as file:
                is_same = file.read() == content
        finally:
            default_storage.delete(name)
    except Exception as error:  # a storage has errors of its own
        return fail(
            "uploads", f"Files cannot be stored: {error}", "Check where uploads are kept, and the rights to it."
        )
    if not is_same:
        return fail("uploads", "A stored file is not read as it was written.", "Check where uploads are kept.")
    return ok("uploads", "A file can be stored, read and deleted.")
