"""Static files, collected: hashed, compressed, and made again only when one of them has changed."""

from __future__ import annotations

import fcntl
import hashlib
import os
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command

from orchestration.startup import CannotStart


def collect_static() -> None:
    """Collect static files unless they are; hashing and compressing them takes seconds.

    One process at a time, so that several may start with one folder. With DEBUG they are served from their sources.
    Raises CannotStart where they are not collected and cannot be.
    """
    if settings.DEBUG or _is_collected(current := _digest()):
        return
    root = Path(settings.STATIC_ROOT)
    try:
        root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(f"{root}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not _is_collected(current):
                call_command("collectstatic", verbosity=0, interactive=False, clear=True)
                _digest_file().write_text(current)
        finally:
            os.close(lock)
    except OSError as error:
        raise CannotStart(
            f"Static files cannot be collected into {root} ({error.strerror or error}). Set CANOPY_STATIC to a folder"
            " that may be written to, or run `canopy static` with it where the image is built."
        ) from error


def _is_collected(digest: str) -> bool:
    try:
        return _digest_file().read_text() == digest and Path(settings.STATIC_ROOT).is_dir()
    except OSError:
        return False


def _digest_file() -> Path:
    return Path(f"{settings.STATIC_ROOT}.collected")


def _digest() -> str:
    """Return a digest of what there is to collect. Times of files are not in it: layers of an image round them."""
    listing = hashlib.sha256(settings.STATIC_URL.encode())
    for finder in get_finders():
        for name, storage in sorted(finder.list([]), key=lambda found: str(found[0])):
            content = hashlib.sha256(Path(storage.path(name)).read_bytes())
            listing.update(f"{name} {content.hexdigest()}\n".encode())
    return listing.hexdigest()
