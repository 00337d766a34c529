"""Units: what a parent has directly below it. Children, or partitions of children; the parent treats both alike.

Workflow code: deterministic. A class of units starts one, records how it ended, retries a child, adds up results.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.fan_out import Cursor, FanOutInput, FanOutResult
    from orchestration.contracts.long_lived import WorkerReport
    from orchestration.engine.supervisor import Source, Supervisor
    from orchestration.engine.units.children import Children
    from orchestration.engine.units.entities import Entities
    from orchestration.engine.units.pages import Pages
    from orchestration.engine.units.partitions import Partitions
    from orchestration.engine.units.pool import Pool
    from orchestration.engine.units.rollbacks import Rollbacks
    from orchestration.plan.choices import Execution
    from orchestration.plan.layout import Layout


class Units(Source, Protocol):
    """What a parent needs of its units, beyond what its supervisor does."""

    supervisor: Supervisor
    layout: Layout

    @property
    def cursor(self) -> Cursor | None:
        """Where the next run of the parent resumes; None where there is none."""
        ...

    def first(self) -> list[int]:
        """Return the units that this run starts with."""
        ...

    def places(self, window: int) -> int:
        """Return how many units may be open under a window of children."""
        ...

    async def prepare(self) -> None:
        """Read what has to be known before the first unit is started."""
        ...

    def steer(self, window: int) -> None:
        """Pass a changed window or pause on to open units."""
        ...

    async def close(self) -> None:
        """End what outlives single units, once none is open."""
        ...

    def handoff_reported(self, report: WorkerReport) -> None:
        """Record what a pool worker or an entity reports."""
        ...

    def retry(self, child: int, *, is_lost: bool) -> str | None:
        """Give a child another attempt, or return why not. One whose results are lost may have completed."""
        ...

    def skip(self, child: int, *, is_lost: bool) -> str | None:
        """Go on without a child that is pending or has failed, or return why not. One may have completed as above."""
        ...

    def skip_failed(self) -> int:
        """Count failed children as skipped and return how many those are; open partitions report theirs later."""
        ...

    def finish(self) -> None:
        """Start nothing more."""
        ...

    def to_undo(self) -> list[int]:
        """Return the children that a rollback has to undo."""
        ...

    def result(self) -> FanOutResult:
        """Return the counts of children that this run started or skipped."""
        ...


def units_of(given: FanOutInput, failed: Callable[[int], None]) -> Units:
    """Return the units of a parent; `failed` is called with how many more (or, negative, fewer) children failed."""
    if given.cursor is not None and not given.roll_back:
        return Pages(given, given.cursor)
    if given.is_head and given.layout.partitions > 0:
        return Partitions(given)
    if given.roll_back:
        return Rollbacks(given, failed)
    kinds: dict[Execution, type[Children]] = {Execution.POOL: Pool, Execution.ENTITIES: Entities}
    return kinds.get(given.plan.execution, Children)(given, failed)
