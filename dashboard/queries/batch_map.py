"""The map: every child of a batch as one cell, by position. Reads only; maps are cached and updated by revision.

As bytes it is a status and a duration for each position, all statuses first. A status is its index in STATUSES, or
EMPTY where there is no child (in watched trees a leaf may become a parent). A duration has two bytes, little-endian:
0 while it is unknown, otherwise 1 + STEPS * log10(1 + milliseconds), which is exact to a tenth of a percent.
"""

from __future__ import annotations

import threading
from array import array
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil, log10, nan

from django.db.models import Count, F, Q
from django.db.models.functions import Floor

from dashboard.models import BY_INTEREST, Batch, BatchStatus, Node, NodeStatus
from dashboard.models.statuses import status_of_run
from dashboard.queries.selection import ALL_CHILDREN
from dashboard.server.recently_used import RecentlyUsed
from orchestration.contracts.events import NodeKind

STATUSES = (
    NodeStatus.PENDING,
    NodeStatus.RUNNING,
    NodeStatus.COMPLETED,
    NodeStatus.FAILED,
    NodeStatus.CANCELED,
    NodeStatus.TERMINATED,
    NodeStatus.TIMED_OUT,
    NodeStatus.SKIPPED,
    BatchStatus.SCHEDULED,
)
EMPTY = 255
STEPS = 4_000

MAPS_CACHED = 16
"""Batches whose maps are cached, least recently used evicted first: three bytes per child."""

RANGES = 20
"""Rows of the table that is the map's text alternative."""

NO_KEYS = ("", "")

_CODES: dict[str, int] = {status.value: code for code, status in enumerate(STATUSES)}


@dataclass
class BatchMap:
    """The cells of a batch as they were at a revision."""

    revision: int = 0
    statuses: bytearray = field(default_factory=bytearray)
    durations: array[int] = field(default_factory=lambda: array("H"))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def update(self, batch: Batch) -> None:
        """Read what has changed up to the batch's revision. The cell of a leaf that became a parent is emptied."""
        with self.lock:
            if batch.revision <= self.revision:
                return
            changed = Node.objects.filter(batch=batch, revision__gt=self.revision, revision__lte=batch.revision)
            if self.revision:
                for position in changed.filter(kind=NodeKind.PARENT).values_list("position", flat=True):
                    self._set(position, EMPTY, None)
            children = changed.filter(kind=NodeKind.CHILD).order_by()
            cells = children.values_list("position", "status", "duration")
            for position, status, duration in cells.iterator(chunk_size=10_000):
                self._set(position, _CODES[status_of_run(status, batch.status)], duration)
            self.revision = batch.revision

    def _set(self, position: int, code: int, duration: float | None) -> None:
        if position >= len(self.statuses):
            missing = position + 1 - len(self.statuses)
            self.statuses.extend(bytes([EMPTY]) * missing)
            self.durations.extend([0] * missing)
        self.statuses[position] = code
        self.durations[position] = duration_code(duration)

    def content(self) -> bytes:
        """Return the bytes that a browser gets."""
        with self.lock:
            return bytes(self.statuses) + self.durations.tobytes()


def duration_code(seconds: float | None) -> int:
    """Return the code of a duration, 0 for None."""
    return 0 if seconds is None else min(1 + round(STEPS * log10(1 + 1000 * seconds)), 0xFFFF)


def seconds_from_code(code: int) -> float:
    """Return the duration that a code stands for."""
    return float(10 ** ((code - 1) / STEPS) - 1) / 1000


class _MapCache:
    """A cache of maps, least recently used evicted first."""

    def __init__(self) -> None:
        self._maps = RecentlyUsed[str, BatchMap](MAPS_CACHED)
        self._lock = threading.Lock()

    def of(self, batch: Batch) -> BatchMap:
        """Return the map of a batch, up to its revision."""
        with self._lock:
            found = self._maps[batch.pk] = self._maps.get(batch.pk, BatchMap())
        found.update(batch)
        return found


map_of = _MapCache().of
"""Return the map of a batch, up to its revision as it was read."""


def starts_of(batch: Batch) -> bytes:
    """Return the start of each child's newest attempt, by position: seconds since the launch as 4-byte floats.

    NaN for one that has not started.
    """
    starts = array("f", [nan]) * len(map_of(batch).statuses)
    began = ALL_CHILDREN.children(batch).filter(started_at__isnull=False).values_list("position", "started_at")
    for position, started in began.iterator(chunk_size=10_000):
        if started is not None and position < len(starts):
            starts[position] = (started - batch.created_at).total_seconds()
    return starts.tobytes()


@dataclass(frozen=True)
class Range:
    """A range of a batch's children, by position, and their statuses: (status, label, number), failures first."""

    first: int
    last: int
    key_first: str
    key_last: str
    numbers: Sequence[tuple[str, str, int]]

    @property
    def span(self) -> str:
        """The range as `selection.Selection` reads it."""
        return f"{self.first}-{self.last}"


def ranges_of(batch: Batch) -> list[Range]:
    """Return the map as a table of RANGES ranges of equal length."""
    number = len(map_of(batch).statuses)
    size = max(1, ceil(number / RANGES))
    counted = ALL_CHILDREN.children(batch).annotate(stretch=Floor(F("position") / size))
    numbers = defaultdict[int, Counter[str]](Counter)
    for stretch, status, count in counted.values_list("stretch", "status").annotate(Count("pk")):
        numbers[int(stretch)][status] = count
    firsts = range(0, number, size)
    ends = Q(position__in=[*firsts, *(min(first + size, number) - 1 for first in firsts)])
    keys = {
        each[0]: each[1:]
        for each in ALL_CHILDREN.children(batch).filter(ends).values_list("position", "key_first", "key_last")
    }
    return [
        Range(
            first,
            last := min(first + size, number) - 1,
            keys.get(first, NO_KEYS)[0],
            keys.get(last, NO_KEYS)[1],
            [(status.value, str(status.label), count) for status in BY_INTEREST if (count := numbers[stretch][status])],
        )
        for stretch, first in enumerate(firsts)
    ]
