"""What came of a command that was not answered, asked of a real Temporal."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from temporalio import workflow
from temporalio.client import Client, WorkflowUpdateRPCTimeoutOrCancelledError, WorkflowUpdateStage
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from orchestration.client import inquiries
from orchestration.client.inquiries import COMMAND_MEMO, NOT_CARRIED_OUT, Reply
from orchestration.contracts.messages import ChildrenAnswer, ChildrenRequest
from orchestration.gateway import Gateway
from orchestration.temporal.commands import Inquiry, InquiryKind
from orchestration.temporal.connection import Connection
from tests.support.stack import TemporalServer


@workflow.defn
class Asked:
    """Accepts children below ten, refuses the others, and ends when it is told to."""

    def __init__(self) -> None:
        self.is_over = False

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: self.is_over)

    @workflow.update
    def retry(self, request: ChildrenRequest) -> ChildrenAnswer:
        self.is_over = 0 in request.children
        return ChildrenAnswer.of(request, lambda child: None if child < 10 else "no")

    @workflow.signal
    def pause(self) -> None:
        """Do nothing."""


@pytest.fixture
def gateway(temporal_server: TemporalServer) -> Gateway:
    return Gateway(Connection(temporal_server.address))


@pytest.fixture
def name() -> str:
    """The id of a workflow, and the name of its task queue."""
    return f"asked-{secrets.token_hex(4)}"


def worker(client: Client, name: str) -> Worker:
    return Worker(client, task_queue=name, workflows=[Asked], workflow_runner=UnsandboxedWorkflowRunner())


def now() -> datetime:
    return datetime.now(UTC)


LONG_AGO = timedelta(minutes=1)


@pytest.mark.parametrize("closes", [False, True])
async def test_an_update_is_found_by_its_id_once_a_worker_has_answered(
    temporal_client: Client, gateway: Gateway, name: str, closes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = await temporal_client.start_workflow(Asked.run, id=name, task_queue=name)
    children = [0, 20] if closes else [1, 20]
    sent_at = now()
    with pytest.raises(WorkflowUpdateRPCTimeoutOrCancelledError):
        await handle.start_update(
            Asked.retry,
            ChildrenRequest(children),
            id="mark",
            wait_for_stage=WorkflowUpdateStage.ACCEPTED,
            rpc_timeout=timedelta(seconds=1),
        )
    asked = Inquiry(InquiryKind.UPDATE, name, "mark", children)
    monkeypatch.setattr(inquiries, "RPC_TIMEOUT", timedelta(seconds=1))
    assert await gateway.look_up(asked, sent_at - LONG_AGO) is None
    monkeypatch.undo()
    async with worker(temporal_client, name):
        reply = await _known(lambda: gateway.look_up(asked, sent_at))
        if closes:
            await handle.result()
            reply = await _known(lambda: gateway.look_up(asked, sent_at))
    assert reply == Reply(True, ChildrenAnswer([children[0]], {20: "no"}))


async def test_an_update_that_temporal_does_not_know_was_not_done_once_it_can_no_longer_arrive(
    temporal_client: Client, gateway: Gateway, name: str
) -> None:
    await temporal_client.start_workflow(Asked.run, id=name, task_queue=name)
    for kind in (InquiryKind.UPDATE, InquiryKind.EVENT, InquiryKind.START):
        asked = Inquiry(kind, name, "another", [3])
        assert await gateway.look_up(asked, now()) is None
        assert await gateway.look_up(asked, now() - LONG_AGO) == Reply(
            False, ChildrenAnswer(refused={3: NOT_CARRIED_OUT}), NOT_CARRIED_OUT
        )


async def test_an_update_of_a_workflow_that_is_gone_was_not_done(gateway: Gateway, name: str) -> None:
    reply = await gateway.look_up(Inquiry(InquiryKind.UPDATE, name, "mark"), now() - LONG_AGO)
    assert reply is not None
    assert not reply.done


@pytest.mark.parametrize("command", ["pause", "cancel", "terminate"])
async def test_a_signal_a_cancellation_and_a_termination_are_found_by_their_mark(
    temporal_client: Client, gateway: Gateway, name: str, command: str
) -> None:
    await temporal_client.start_workflow(Asked.run, id=name, task_queue=name)
    commands: dict[str, Callable[[], Awaitable[None]]] = {
        "pause": lambda: gateway.steer_worker(name, paused=True, mark="mark"),
        "cancel": lambda: gateway.cancel(name, mark="mark"),
        "terminate": lambda: gateway.terminate(name, "The test is over.", mark="mark"),
    }
    await commands[command]()
    assert await gateway.look_up(Inquiry(InquiryKind.EVENT, name, "mark"), now()) == Reply(True)


async def test_a_signal_with_the_same_mark_is_sent_once(temporal_client: Client, gateway: Gateway, name: str) -> None:
    handle = await temporal_client.start_workflow(Asked.run, id=name, task_queue=name)
    for mark in ("one", "one", "two"):
        await gateway.steer_worker(name, paused=True, mark=mark)
    events = [event async for event in handle.fetch_history_events()]
    assert sum(event.HasField("workflow_execution_signaled_event_attributes") for event in events) == 2


async def test_a_start_is_found_in_an_earlier_run_too(temporal_client: Client, gateway: Gateway, name: str) -> None:
    sent_at = now()
    for memo in ({COMMAND_MEMO: "mark"}, {}):
        handle = await temporal_client.start_workflow(Asked.run, id=name, task_queue=name, memo=memo)
        await handle.terminate()
    asked = Inquiry(InquiryKind.START, name, "mark")
    assert await _known(lambda: gateway.look_up(asked, sent_at)) == Reply(True)


async def _known(look: Callable[[], Awaitable[Reply | None]]) -> Reply:
    """Look until it is known. Visibility, which lists earlier runs, lags."""
    async with asyncio.timeout(60):
        while (reply := await look()) is None:
            await asyncio.sleep(0.1)
    return reply
