"""Whether a batch can be rolled back: whether its processors have a compensation."""

from __future__ import annotations

from orchestration.processors.catalogue import get_processor, processors
from orchestration.processors.registry import Processor


def _has_compensation(name: str) -> bool:
    found = processors().get(name)
    return found is not None and found.compensation is not None


def can_roll_back(processor: Processor) -> bool:
    """Whether something that it did could be undone, in its second stage if it has one."""
    last = get_processor(processor.then) if processor.then else processor
    return last.compensation is not None
