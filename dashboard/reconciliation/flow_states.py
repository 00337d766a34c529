"""Keeps where flows have stopped, while Temporal still knows: a retry after its retention resumes from there."""

from __future__ import annotations

import logging

from dashboard.database.threads import in_thread
from dashboard.projection.flow_states import flows_to_keep, keep_state
from dashboard.temporal import gateway
from orchestration.contracts.flows import FlowState
from orchestration.temporal.connection import HistoryGone, StateTooLarge, TemporalUnavailable

log = logging.getLogger(__name__)

TRIES = 30
"""Looks at one flow that no worker answers for, before those that come after it are looked at."""


class FlowStates:
    """Reads the states of flows that have ended, each once."""

    def __init__(self) -> None:
        self._failed = dict[str, int]()

    async def look(self) -> None:
        """Keep the states of those that have ended since. One that cannot be read is tried again."""
        for batch_id, run_id in await in_thread(flows_to_keep)():
            if self._failed.get(run_id, 0) >= TRIES:
                continue
            try:
                await in_thread(keep_state)(batch_id, run_id, await _state_of(batch_id))
            except TemporalUnavailable as error:
                self._failed[run_id] = self._failed.get(run_id, 0) + 1
                log.info("The state of batch %s cannot be read; it is tried again: %s", batch_id, error)


async def _state_of(batch_id: str) -> FlowState | None:
    """Return the state of a flow; None where it is gone, or more than another run could continue from."""
    try:
        return await gateway().flow_state(batch_id)
    except (HistoryGone, StateTooLarge):
        return None
