"""Whether the work of a processor can be undone."""

from __future__ import annotations

from orchestration.processors.catalogue import processors


def has_compensation(name: str) -> bool:
    """Whether a processor has a compensation; one that is no longer installed has none."""
    found = processors().get(name)
    return found is not None and found.compensation is not None
