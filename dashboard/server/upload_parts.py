"""Files of uploads that are read in parts, each when it is needed, wherever they are kept."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from typing import Any, cast

from django.core.files.base import File
from django.core.files.storage import Storage

PART_SIZE = 512 * 1024
"""Bytes that are written and read together."""


class InParts(Storage, ABC):
    """Files that are read in parts, each when it is needed. What it raises where it is away is a StoreAway."""

    @abstractmethod
    def length(self, name: str) -> int | None:
        """Return the bytes of a file; None where there is none."""

    @abstractmethod
    def read(self, name: str, offset: int, length: int) -> bytes:
        """Return a part of a file, at least a byte and at most `length` of them."""

    def exists(self, name: str) -> bool:
        """Whether there is a file."""
        return self.length(name) is not None

    def size(self, name: str) -> int:
        """Return the bytes of a file. Raises FileNotFoundError."""
        if (found := self.length(name)) is None:
            raise FileNotFoundError(name)
        return found

    def _open(self, name: str, mode: str = "rb") -> File[bytes]:
        opened = io.BufferedReader(_Opened(self, name, self.size(name)), PART_SIZE)
        return cast("File[bytes]", File(opened, name))


class _Opened(io.RawIOBase):
    """A file of a place, read in parts as they are needed."""

    def __init__(self, place: InParts, name: str, size: int) -> None:
        self._place, self._name, self._size, self._at = place, name, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence])
        return self._at

    def readinto(self, buffer: Any) -> int:
        length = min(len(buffer), self._size - self._at)
        if length <= 0:
            return 0
        part = self._place.read(self._name, self._at, length)
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)
