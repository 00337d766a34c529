"""What an error of Temporal means: not reached, a limit, a refusal, or an outcome that is not known."""

from __future__ import annotations

import pytest
from temporalio.client import WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.service import RPCError, RPCStatusCode

from orchestration.temporal.connection import (
    OutcomeUnknown,
    TemporalBusy,
    TemporalRefused,
    TemporalUnavailable,
    commanded,
    unavailable,
)


def answered(status: RPCStatusCode) -> RPCError:
    return RPCError("the reason.", status, b"")


@pytest.mark.parametrize(
    ("error", "read", "command"),
    [
        (answered(RPCStatusCode.UNAVAILABLE), TemporalUnavailable, TemporalUnavailable),
        (answered(RPCStatusCode.DEADLINE_EXCEEDED), TemporalUnavailable, OutcomeUnknown),
        (answered(RPCStatusCode.CANCELLED), TemporalUnavailable, OutcomeUnknown),
        (WorkflowUpdateRPCTimeoutOrCancelledError(), TemporalUnavailable, OutcomeUnknown),
        (TimeoutError(), TemporalUnavailable, OutcomeUnknown),
        (answered(RPCStatusCode.RESOURCE_EXHAUSTED), TemporalBusy, TemporalBusy),
        (answered(RPCStatusCode.FAILED_PRECONDITION), TemporalRefused, TemporalRefused),
        (answered(RPCStatusCode.PERMISSION_DENIED), TemporalRefused, TemporalRefused),
        (answered(RPCStatusCode.INVALID_ARGUMENT), TemporalRefused, TemporalRefused),
        (answered(RPCStatusCode.NOT_FOUND), RPCError, RPCError),
    ],
)
def test_only_an_unanswered_command_has_an_unknown_outcome(
    error: Exception, read: type[Exception], command: type[Exception]
) -> None:
    with pytest.raises(Exception) as of_read, unavailable():
        raise error
    with pytest.raises(Exception) as of_command, commanded():
        raise error
    assert (of_read.type, of_command.type) == (read, command)


def test_a_refusal_has_its_reason() -> None:
    with pytest.raises(TemporalRefused, match=r"^Temporal refused the request: the reason\.$"), unavailable():
        raise answered(RPCStatusCode.PERMISSION_DENIED)
