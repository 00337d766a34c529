"""How items become chunks and chunks become children and partitions."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from orchestration.plan.plan import Plan

MAX_FLAT_CHILDREN = 1_000
"""Above this number, children are put below partitions. Temporal's guidance for children of one parent."""

PARTITION_SIZE = 500
"""Children of one partition."""

HISTORY_EVENTS_PER_CHILD = 5.5
"""Measured, with events of several children in one notify activity."""

HISTORY_EVENTS_PER_PARTITION = 10
"""Measured, with rebalancing of the window; the root itself adds about as many."""


@dataclass(frozen=True)
class Chunk:
    """A slice of the items."""

    offset: int
    length: int


@dataclass(frozen=True)
class Layout:
    """The tree that a plan makes of a number of items. Child and item indices run over the whole batch, from 0.

    Those of a stage begin at `first_child` and `first_item`. A `paged` input has a partition for each page.
    """

    items: int
    chunk_size: int
    partition_size: int = PARTITION_SIZE
    may_partition: bool = True
    paged: bool = False
    first_child: int = 0
    first_item: int = 0

    @classmethod
    def of(cls, plan: Plan, items: int, *, first_child: int = 0, first_item: int = 0) -> Layout:
        """Lay out items. Partitions hold whole groups; there are none where the plan rules them out."""
        size = plan.group_size or 1
        return cls(
            items=items,
            chunk_size=plan.chunk_size,
            partition_size=plan.page_children if plan.paged else max(size, PARTITION_SIZE // size * size),
            may_partition=plan.may_partition,
            paged=plan.paged,
            first_child=first_child,
            first_item=first_item,
        )

    @property
    def children(self) -> int:
        """Number of children."""
        return ceil(self.items / self.chunk_size)

    @property
    def child_range(self) -> range:
        """Indices of the children."""
        return range(self.first_child, self.first_child + self.children)

    @property
    def partitions(self) -> int:
        """Number of partitions; 0 in a flat batch, whose root starts the children itself."""
        is_flat = not self.paged and (self.children <= MAX_FLAT_CHILDREN or not self.may_partition)
        return 0 if is_flat else ceil(self.children / self.partition_size)

    def chunk(self, child: int) -> Chunk:
        """Return the slice of a child."""
        offset = self.first_item + (child - self.first_child) * self.chunk_size
        return Chunk(offset, min(self.chunk_size, self.first_item + self.items - offset))

    def partition_of(self, child: int) -> int | None:
        """Return the partition that a child lies in, or None in a flat batch."""
        return (child - self.first_child) // self.partition_size if self.partitions else None

    def partition_range(self, partition: int) -> range:
        """Return the child indices of a partition."""
        first = self.first_child + partition * self.partition_size
        return range(first, min(first + self.partition_size, self.child_range.stop))

    def root_history(self) -> int:
        """Estimate the events in the root's history."""
        if self.partitions:
            return HISTORY_EVENTS_PER_PARTITION * (self.partitions + 1)
        return ceil(HISTORY_EVENTS_PER_CHILD * self.children) + HISTORY_EVENTS_PER_PARTITION

    def partition_history(self) -> int:
        """Estimate the events in a full partition's history; 0 in a flat batch."""
        if not self.partitions:
            return 0
        return ceil(HISTORY_EVENTS_PER_CHILD * self.partition_size) + HISTORY_EVENTS_PER_PARTITION


def share_window(window: int, open_partitions: int) -> list[int]:
    """Divide the window among partitions: whole numbers with that sum, each at least 1 if the window suffices."""
    each, rest = divmod(window, open_partitions)
    return [each + (position < rest) for position in range(open_partitions)]
