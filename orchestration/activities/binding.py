"""Binding: the processor of a chunk, with its parameters."""

from __future__ import annotations

from temporalio.exceptions import ApplicationError

from orchestration.contracts.chunks import ChunkWork
from orchestration.processors.catalogue import UnknownProcessor, get_processor
from orchestration.processors.processor import BoundProcessor
from orchestration.processors.raised import Outcome, message_of


def bound_processor(work: ChunkWork, child_workflow: str = "") -> BoundProcessor:
    """Return the processor of a chunk, which must be one for children of this type.

    Raises ApplicationError, not retried.
    """
    try:
        found = get_processor(work.processor)
        if found.child_workflow != child_workflow:
            message = f"{work.processor} is done by children of another type than this one."
            raise ApplicationError(message, type="WrongChild", non_retryable=True)
    except UnknownProcessor as error:
        message = f"This worker does not know the processor {work.processor!r}."
        raise ApplicationError(message, type="UnknownProcessor", non_retryable=True) from error
    bound = Outcome.of(found.bind, work.parameters).value_or_error
    if not isinstance(bound, BoundProcessor):  # a validator of its own may raise anything
        raise ApplicationError(message_of(bound), type="InvalidParameters", non_retryable=True)
    return bound
