"""TaskRoom: what one workflow task sends to Temporal together stays below the 4 MB of a message.

A task that is larger fails again and again. Workflow code: deterministic.
"""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.patches import LARGE_INPUTS_APART

TASK_LIMIT = 3_000_000
"""Bytes of inputs in one workflow task, beside everything else in its message."""

PAUSE = timedelta(milliseconds=10)
"""Until the next workflow task."""


class TaskRoom:
    """The room that the present workflow task has left."""

    def __init__(self) -> None:
        self._task, self._taken = 0, 0

    async def take(self, size: int) -> None:
        """Take room for an input of some bytes, in a later task if this one has too little left.

        `patched` is asked only in the case that failed before, so that no other history has a marker.
        """
        while True:
            task = workflow.info().get_current_history_length()
            if task != self._task:
                self._task, self._taken = task, 0
            if not self._taken or self._taken + size <= TASK_LIMIT or not workflow.patched(LARGE_INPUTS_APART):
                self._taken += size
                return
            await workflow.sleep(PAUSE)
