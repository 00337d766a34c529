"""Threads that are stuck: their items have timed out or are canceled, and the function has not come back yet."""

from __future__ import annotations

from collections import Counter

from orchestration.processors.own_loops import all_processor_loops
from orchestration.processors.threads import all_processor_threads


def stuck_threads() -> Counter[str]:
    """Return the number of stuck threads of this process by processor; a blocked event loop counts as one."""
    found = Counter[str]()
    for told in (
        *(each.stuck() for each in all_processor_threads()),
        *(each.stuck() for each in all_processor_loops()),
    ):
        found.update(told)
    return found
