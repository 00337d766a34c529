"""Files that processors read: what a store of them is, and what it raises."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Protocol

PART_BYTES = 1024 * 1024


class StoreMissing(LookupError):
    """The file store is not configured where the worker runs."""


class NoSuchFile(LookupError):
    """The store has no file at the path, or the path is outside of it."""


class StoreFailed(Exception):
    """The store did not answer, or with an error. A retry may succeed."""


@dataclass(frozen=True)
class OpenFile:
    """A file opened for reading: its size in bytes, and its content in parts of at most PART_BYTES or so."""

    size: int
    parts: Generator[bytes, None, None]


class FileStore(Protocol):
    """A folder or bucket to read files from."""

    def open(self, path: str) -> OpenFile:
        """Open a file for reading. Raises NoSuchFile, StoreFailed."""
        ...
