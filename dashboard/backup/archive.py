"""The file of a backup: a compressed tar, written and read as a stream, with the checksums of its parts at its end."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO, cast

from pydantic import ValidationError

from dashboard.backup.errors import BackupError, BadBackup
from dashboard.backup.manifest import MANIFEST, Manifest, Part

STDOUT = "-"
PRIVATE = 0o600
PIECE = 1024 * 1024
COMPRESSION = 1
"""Level of gzip: dumps of PostgreSQL are compressed already, and a copy of SQLite becomes a fifth even so."""


class Writer:
    """Writes parts, and notes their checksums in the manifest."""

    def __init__(self, tar: tarfile.TarFile, manifest: Manifest) -> None:
        self._tar, self.manifest = tar, manifest

    def add(self, name: str, content: IO[bytes], size: int) -> None:
        """Write a part of `size` bytes. Raises BackupError where there are fewer."""
        hashed = _Hashed(content)
        try:
            self._tar.addfile(_entry(name, size), cast("BinaryIO", hashed))
        except OSError as error:
            raise BackupError(f"{name} cannot be written: {error}") from error
        self.manifest.parts[name] = Part(bytes=size, sha256=hashed.digest.hexdigest())

    def add_file(self, name: str, path: Path) -> None:
        """Write a file as a part."""
        with path.open("rb") as content:
            self.add(name, content, path.stat().st_size)

    def finish(self) -> None:
        """Write the manifest."""
        content = self.manifest.model_dump_json(indent=1).encode()
        self._tar.addfile(_entry(MANIFEST, len(content)), io.BytesIO(content))


class _Hashed:
    """A file that is hashed while it is read."""

    def __init__(self, content: IO[bytes]) -> None:
        self._content, self.digest = content, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        piece = self._content.read(size)
        self.digest.update(piece)
        return piece


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = size, PRIVATE, int(time.time())
    return entry


@contextmanager
def writing(target: str, manifest: Manifest) -> Iterator[Writer]:
    """Write a backup to a path, or to standard output for `-`.

    At the path there is either the whole file, its user's alone, or what was there before. Raises BackupError.
    """
    try:
        with _output(target) as output:
            with (
                gzip.GzipFile(filename="", mode="wb", fileobj=output, compresslevel=COMPRESSION) as packed,
                tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT, bufsize=PIECE) as tar,
            ):
                writer = Writer(tar, manifest)
                yield writer
                writer.finish()
            output.flush()
    except OSError as error:
        raise BackupError(f"The backup cannot be written: {error}.") from error


@contextmanager
def _output(target: str) -> Iterator[IO[bytes]]:
    if target == STDOUT:
        with os.fdopen(os.dup(1), "wb") as output:
            yield output
        return
    path = Path(target)
    own = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE), "wb") as output:
            yield output
            output.flush()
            os.fsync(output.fileno())
        own.replace(path)
        _sync_folder(path.parent)
    finally:
        own.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Have the new name survive a power failure, where the file system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def reading(path: Path) -> Iterator[Iterator[tuple[str, IO[bytes]]]]:
    """Yield an iterator over the parts of a backup: (name, content), which has to be read before the next.

    Raises BadBackup for what is no whole file, also in the middle of a part, and BackupError where it cannot be read.
    """
    try:
        with gzip.open(path, "rb") as packed, tarfile.open(fileobj=packed, mode="r|") as tar:
            yield _parts(path, tar)
            while packed.read(PIECE):  # to the checksum at its end
                pass
    except (EOFError, zlib.error, gzip.BadGzipFile, tarfile.TarError) as error:
        raise BadBackup(f"{path} is not a whole backup: {error}. It was cut off or changed.") from error
    except OSError as error:
        raise BackupError(f"{path} cannot be read: {error}.") from error


def _parts(path: Path, tar: tarfile.TarFile) -> Iterator[tuple[str, IO[bytes]]]:
    for entry in tar:
        content = tar.extractfile(entry) if entry.isfile() else None
        if content is None or entry.name.startswith("/") or ".." in entry.name.split("/"):
            raise BadBackup(f"{path} has a part that no backup has: {entry.name}.")
        yield entry.name, content


def verified(path: Path) -> Manifest:
    """Read a backup to its end and return its manifest. Raises BadBackup where a checksum is wrong."""
    found, manifest = dict[str, Part](), None
    with reading(path) as parts:
        for name, content in parts:
            if name == MANIFEST:
                manifest = _manifest(path, content.read())
            else:
                found[name] = _measured(content)
    if manifest is None:
        raise BadBackup(f"{path} is not a whole backup: it has no manifest at its end. It was cut off.")
    if wrong := sorted(name for name in found.keys() | manifest.parts if found.get(name) != manifest.parts.get(name)):
        raise BadBackup(f"{path} is damaged: {', '.join(wrong[:5])} is not what was written.")
    return manifest


def _manifest(path: Path, content: bytes) -> Manifest:
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        raise BadBackup(f"{path} has a manifest that cannot be read: {error.errors()[0]['msg']}.") from error


def _measured(content: IO[bytes]) -> Part:
    digest, size = hashlib.sha256(), 0
    while piece := content.read(PIECE):
        digest.update(piece)
        size += len(piece)
    return Part(bytes=size, sha256=digest.hexdigest())
