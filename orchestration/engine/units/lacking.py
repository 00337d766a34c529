"""What the record lacks of children that Temporal has completed: it was restored from an earlier state.

Workflow code: deterministic.
"""

from __future__ import annotations

import asyncio
import contextlib

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.chunks import ChildRange
    from orchestration.contracts.fan_out import FanOutInput
    from orchestration.contracts.names import LACKING_CHILDREN_ACTIVITY
    from orchestration.contracts.patches import RECORD_DECIDES
    from orchestration.engine.store_activities import run_store_activity


class Lacking:
    """The children of a parent of which the record lacks results, or that are to be undone: asked once, and only where
    the id of one is taken.
    """

    def __init__(self, given: FanOutInput) -> None:
        self._given = given
        self._reading: asyncio.Task[set[int]] | None = None

    async def read(self) -> set[int]:
        """Return all of them; none in a run that began before they were asked for."""
        if not workflow.patched(RECORD_DECIDES):
            return set()
        self._reading = self._reading or asyncio.create_task(self._read())
        return await self._reading

    async def _read(self) -> set[int]:
        given, layout = self._given, self._given.layout
        children = layout.child_range if given.partition is None else layout.partition_range(given.partition)
        wanted = ChildRange(given.batch_id, children.start, children.stop, undo=given.roll_back)
        with contextlib.suppress(ActivityError):
            return set(await run_store_activity(LACKING_CHILDREN_ACTIVITY, wanted, result_type=list[int]))
        return set()
