"""File systems of their own for parts of a deployment, so that each can be filled to the last byte. Needs root."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEGABYTES = 2_048
FILLER = "filler"


def are_to_be_had() -> bool:
    """Whether this process may mount file systems."""
    return os.geteuid() == 0


@contextmanager
def suppress_no_space() -> Iterator[None]:
    """End the context where there is no space left."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise


class Disk:
    """A file system in memory at a path."""

    def __init__(self, path: Path) -> None:
        self._path, self._filler = path, path / FILLER
        path.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m,mode=0755", "canopy-faults", str(path)]
        subprocess.run(command, check=True, capture_output=True, timeout=60)

    def fill(self) -> None:
        """Leave no byte free, whoever else writes meanwhile: most of it at once, and the rest piece by piece."""
        left = os.statvfs(self._path)
        with self._filler.open("ab", buffering=0) as file, suppress_no_space():
            with suppress_no_space():
                os.posix_fallocate(file.fileno(), 0, max(1, left.f_bavail * left.f_frsize))
            while True:
                file.write(bytes(left.f_frsize))

    def free(self) -> None:
        """Take the filler away."""
        self._filler.unlink(missing_ok=True)

    def unmount(self) -> None:
        """Take the file system away, with all that is on it."""
        subprocess.run(["umount", "--lazy", str(self._path)], check=False, capture_output=True, timeout=60)
