"""Versions that were parsed lately, within a bound of their number and of their texts together."""

from __future__ import annotations

import threading
from collections import OrderedDict

from orchestration.definitions.models import Definition


class ParsedVersions:
    """Definitions by version. A parsed one takes some twenty times as much memory as its text."""

    def __init__(self, versions: int, characters: int) -> None:
        self._versions, self._characters = versions, characters
        self._kept = OrderedDict[int, tuple[Definition, int]]()
        self._lock = threading.Lock()

    def get(self, version_id: int) -> Definition | None:
        """Return a version if it is kept."""
        with self._lock:
            if version_id not in self._kept:
                return None
            self._kept.move_to_end(version_id)
            return self._kept[version_id][0]

    def keep(self, version_id: int, definition: Definition, characters: int) -> None:
        """Keep a version with a text of so many characters, and forget those that were asked for the longest ago."""
        with self._lock:
            self._kept[version_id] = definition, characters
            self._kept.move_to_end(version_id)
            total = sum(size for _, size in self._kept.values())
            while len(self._kept) > 1 and (len(self._kept) > self._versions or total > self._characters):
                _, (_, size) = self._kept.popitem(last=False)
                total -= size

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._kept.clear()
