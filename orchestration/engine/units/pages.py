"""Pages: partitions of an input of unknown length, each read into the store when there is room for it.

Workflow code: deterministic.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.fan_out import Cursor, FanOutInput, FanOutResult, InputPage, PageRequest
    from orchestration.contracts.names import READ_PAGE_ACTIVITY
    from orchestration.contracts.status import LEFT_OUT, Counts, Status
    from orchestration.engine.item_inserts import insert_items
    from orchestration.engine.units.partitions import Partitions
    from orchestration.errors.failures import failure_of


class Pages(Partitions):
    """Partitions below a root that reads its input while it runs, one page ahead of what is open."""

    def __init__(self, given: FanOutInput, cursor: Cursor) -> None:
        super().__init__(given)
        self._cursor = cursor
        self._earlier = replace(cursor.counts)
        self._is_finished = False
        self._reader: asyncio.Task[None] | None = None

    @property
    def cursor(self) -> Cursor | None:
        """Where the next run of the root resumes; None once the input is read to its end."""
        if self._cursor.is_last or self._is_finished:
            return None
        return replace(self._cursor, counts=self.result().counts)

    def first(self) -> list[int]:
        """Return nothing: pages come as they are read."""
        return []

    async def prepare(self) -> None:
        """Begin to read."""
        self.supervisor.expects_more = True
        self._reader = asyncio.create_task(self._read_all())

    async def _read_all(self) -> None:
        supervisor = self.supervisor
        try:
            while True:
                await workflow.wait_condition(lambda: self._is_over() or self._has_room())
                if self._is_over():
                    return
                self._add_page(await self._read())
        except ActivityError as error:
            supervisor.stop(f"The input could not be read on. {failure_of(error).message}")
        finally:
            supervisor.expects_more = False

    def _has_room(self) -> bool:
        return self.supervisor.pending == 0 and not self.supervisor.is_halted

    def _is_over(self) -> bool:
        """Whether this run reads no further page."""
        is_long = workflow.info().is_continue_as_new_suggested()
        return self.cursor is None or self.supervisor.stop_reason is not None or is_long

    async def _read(self) -> InputPage:
        wanted = PageRequest(self._given.batch_id, self._cursor.pages)
        return await insert_items(READ_PAGE_ACTIVITY, wanted, InputPage, summary=f"page {wanted.page + 1:,}")

    def _add_page(self, page: InputPage) -> None:
        """Add a page's children below a partition of their own."""
        number, cursor = self._cursor.pages, self._cursor
        self._cursor = replace(
            cursor, pages=number + bool(page.items), items=cursor.items + page.items, is_last=page.is_last
        )
        self.layout = replace(self.layout, items=self._cursor.items)
        if page.items:
            self.supervisor.enqueue(number)

    def finish(self) -> None:
        """Start nothing more, and read no further page."""
        self._is_finished = True
        super().finish()

    def closed(self, unit: int, outcome: Status, result: Any) -> None:
        """Record a page's result. Children that were rerun on a page of an earlier run count there as failed."""
        if result is not None and result.reran is not None and unit not in self._below:
            self._earlier.failed = max(0, self._earlier.failed - len(result.reran))
        super().closed(unit, outcome, result)

    def skip(self, child: int, *, is_lost: bool) -> str | None:
        """Leave a child out; of a page of an earlier run nothing is known but that it failed."""
        page = self.layout.partition_of(child) or 0
        if page in self._below or page in self.supervisor.open or self.supervisor.is_queued(page):
            return super().skip(child, is_lost=is_lost)
        before = Status.COMPLETED if is_lost else Status.FAILED
        if getattr(self._earlier, before):
            self._earlier.add(before, -1)
            self._earlier.skipped += 1
        self.report_skipped(child, LEFT_OUT)
        return None

    def to_undo(self) -> list[int]:
        """Return the children of which something may have completed: all those of earlier runs."""
        unknown = [page for page in range(self._cursor.pages) if page not in self._below]
        earlier = [child for page in unknown for child in self.layout.partition_range(page)]
        return sorted([*earlier, *super().to_undo()])

    def result(self) -> FanOutResult:
        """Add up the pages of this run and those before."""
        found = super().result()
        counts = Counts()
        for status in Status:
            if status.is_outcome:
                counts.add(status, getattr(found.counts, status) + getattr(self._earlier, status))
        return replace(found, counts=counts)
