"""Of a command that failed, "nothing was changed" is known only where Temporal refused it, or it was never sent."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import Client, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.service import RPCError, RPCStatusCode

from orchestration.temporal import commands
from orchestration.temporal.commands import Inquiry, InquiryKind, OutcomeUnknown, commanded, require_answer
from orchestration.temporal.connection import TemporalBusy, TemporalRefused, TemporalUnavailable, unavailable

ASKED = Inquiry(InquiryKind.UPDATE, "batch-1", "mark", [1, 2])


def answered(status: RPCStatusCode) -> RPCError:
    return RPCError("the reason.", status, b"")


@pytest.mark.parametrize(
    ("error", "read", "command"),
    [
        (answered(RPCStatusCode.UNAVAILABLE), TemporalUnavailable, OutcomeUnknown),
        (answered(RPCStatusCode.UNKNOWN), TemporalUnavailable, OutcomeUnknown),
        (answered(RPCStatusCode.DEADLINE_EXCEEDED), TemporalUnavailable, OutcomeUnknown),
        (answered(RPCStatusCode.CANCELLED), TemporalUnavailable, OutcomeUnknown),
        (answered(RPCStatusCode.INTERNAL), TemporalRefused, OutcomeUnknown),
        (answered(RPCStatusCode.OUT_OF_RANGE), TemporalBusy, OutcomeUnknown),
        (WorkflowUpdateRPCTimeoutOrCancelledError(), TemporalUnavailable, OutcomeUnknown),
        (TimeoutError(), TemporalUnavailable, OutcomeUnknown),
        (ConnectionResetError(), TemporalUnavailable, OutcomeUnknown),
        (answered(RPCStatusCode.RESOURCE_EXHAUSTED), TemporalBusy, TemporalBusy),
        (answered(RPCStatusCode.FAILED_PRECONDITION), TemporalRefused, TemporalRefused),
        (answered(RPCStatusCode.PERMISSION_DENIED), TemporalRefused, TemporalRefused),
        (answered(RPCStatusCode.INVALID_ARGUMENT), TemporalRefused, TemporalRefused),
        (answered(RPCStatusCode.NOT_FOUND), RPCError, RPCError),
    ],
)
def test_the_outcome_of_a_command_is_unknown_unless_temporal_refused_it(
    error: Exception, read: type[Exception], command: type[Exception]
) -> None:
    with pytest.raises(Exception) as of_read, unavailable():
        raise error
    with pytest.raises(Exception) as of_command, commanded(ASKED):
        raise error
    assert (of_read.type, of_command.type) == (read, command)
    if isinstance(of_command.value, OutcomeUnknown):
        assert of_command.value.inquiries == [ASKED]


def test_a_refusal_has_its_reason() -> None:
    with pytest.raises(TemporalRefused, match=r"^Temporal refused the request: the reason\.$"), unavailable():
        raise answered(RPCStatusCode.PERMISSION_DENIED)


async def test_a_command_is_not_sent_to_a_temporal_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    client = await Client.connect("127.0.0.1:1", lazy=True)
    monkeypatch.setattr(commands, "PAUSES", (timedelta(0),))
    with pytest.raises(TemporalUnavailable) as error:
        await require_answer(client)
    assert not isinstance(error.value, OutcomeUnknown)


async def test_a_connection_that_broke_is_made_again(temporal_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, answer = list[int](), temporal_client.workflow_service.get_system_info

    async def breaks_once(*given: Any, **named: Any) -> Any:
        asked.append(1)
        if len(asked) == 1:
            raise answered(RPCStatusCode.UNAVAILABLE)
        return await answer(*given, **named)

    monkeypatch.setattr(temporal_client.workflow_service, "get_system_info", breaks_once)
    monkeypatch.setattr(commands, "PAUSES", (timedelta(0),))
    await require_answer(temporal_client)
    assert len(asked) == 2
