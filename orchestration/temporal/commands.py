"""Commands: requests that change something, and what to ask Temporal for where it did not answer one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Self

from temporalio.api.workflowservice.v1 import GetSystemInfoRequest
from temporalio.client import Client, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.service import RPCError, RPCStatusCode

from orchestration.temporal.connection import RPC_TIMEOUT, TemporalUnavailable, is_away, unavailable

UNANSWERED_COMMAND = "Temporal has not answered in time."

BROKEN = (RPCStatusCode.UNAVAILABLE, RPCStatusCode.UNKNOWN, RPCStatusCode.INTERNAL)

PAUSES = (timedelta(milliseconds=100), timedelta(milliseconds=400))
"""Before Temporal is asked again over a new connection."""

DONE_PERHAPS = (RPCStatusCode.INTERNAL, RPCStatusCode.DATA_LOSS, RPCStatusCode.OUT_OF_RANGE)
"""Failures that may come after a command was done: an answer that is too large to be received is OUT_OF_RANGE."""


class InquiryKind(StrEnum):
    """How a command is found in Temporal."""

    UPDATE = "update"
    """By the id of an update."""
    ANSWER = "answer"
    """By the answer to a signal that stands for an update."""
    EVENT = "event"
    """By the identity in an event: a signal, a request to cancel, a termination."""
    START = "start"
    """By the memo of a run."""
    RESET = "reset"
    """By a run that is newer than the one that was reset."""


@dataclass(frozen=True)
class Inquiry:
    """What to ask Temporal for to learn what came of a command. `mark` is the command's own id."""

    kind: InquiryKind
    workflow_id: str
    mark: str
    children: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        """Return an inquiry that was stored as JSON (dataclasses.asdict)."""
        return cls(**{**data, "kind": InquiryKind(data["kind"])})


class OutcomeUnknown(TemporalUnavailable):
    """Temporal did not answer a command: it may have been done, or may still be.

    `inquiries` are what to ask for; `answer` has what is known of a command's other requests.
    """

    def __init__(self, message: str, inquiries: list[Inquiry] | None = None, answer: Any = None) -> None:
        super().__init__(message)
        self.inquiries, self.answer = inquiries or [], answer


@contextmanager
def commanded(inquiry: Inquiry | None = None) -> Iterator[None]:
    """Do as `unavailable` does for a command that was sent; raise OutcomeUnknown where it may have been done."""
    try:
        with unavailable():
            yield
    except TemporalUnavailable as error:
        cause = error.__cause__
        if isinstance(error, OutcomeUnknown) or not _may_be_done(cause):
            raise
        raise OutcomeUnknown(UNANSWERED_COMMAND, [inquiry] if inquiry else None) from error


def _may_be_done(error: BaseException | None) -> bool:
    if isinstance(error, RPCError):
        return is_away(error) or error.status in DONE_PERHAPS
    return isinstance(error, TimeoutError | OSError | RuntimeError | WorkflowUpdateRPCTimeoutOrCancelledError)


async def require_answer(client: Client) -> None:
    """Raise TemporalUnavailable where Temporal cannot be reached: a command that is not sent changes nothing.

    A command that fails does not say whether it was sent, since the SDK repeats it over other connections.
    """
    for pause in (*PAUSES, None):
        try:
            with unavailable():
                await client.workflow_service.get_system_info(GetSystemInfoRequest(), timeout=RPC_TIMEOUT)
        except TemporalUnavailable as error:
            if pause is None or not _is_broken(error.__cause__):
                raise
            await asyncio.sleep(pause.total_seconds())
        else:
            return


def _is_broken(error: BaseException | None) -> bool:
    """Whether a connection broke or was refused, and a new one may be made; what took too long is not repeated."""
    return isinstance(error, RPCError) and error.status in BROKEN


def identity_of(mark: str) -> str:
    """Return the identity with which a command is sent, which stands in the event that it makes."""
    return f"canopy command {mark}"
