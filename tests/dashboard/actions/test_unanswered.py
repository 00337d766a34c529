"""Commands that Temporal does not answer: not known yet, repeated without harm, and told once they are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.contrib.auth.models import User

from dashboard.accounts.api_tokens import create_token
from dashboard.actions import batch as batch_actions
from dashboard.actions import child_requests, operations
from dashboard.actions.targets import Targets
from dashboard.actions.unanswered import settle_command
from dashboard.errors import NotKnownYet, OperationError
from dashboard.models import Action, AuditEntry, Batch, Node, Operation, UnansweredCommand
from dashboard.queries.operation_progress import progress_of
from orchestration.client.inquiries import Reply
from orchestration.contracts.messages import ChildrenAnswer
from orchestration.contracts.status import Status
from orchestration.temporal.commands import Inquiry, InquiryKind, OutcomeUnknown
from orchestration.temporal.connection import TemporalUnavailable
from tests.support.builders import MakeBatch, child_of, run_children, start_root

pytestmark = pytest.mark.django_db


@dataclass
class MuteGateway:
    """A gateway whose commands are not answered; `known` is what is answered all the same."""

    known: ChildrenAnswer = field(default_factory=ChildrenAnswer)
    error: Callable[[Inquiry, ChildrenAnswer], Exception] = lambda inquiry, known: OutcomeUnknown(
        "Temporal has not answered in time.", [inquiry], known
    )
    marks: list[str] = field(default_factory=list)

    async def retry(
        self, root: Any, parents: dict[int, Any], *, believed_open: Any, update_id: str, **more: Any
    ) -> Any:
        self.marks.append(update_id)
        left = [child for child in parents if child not in {*self.known.accepted, *self.known.refused}]
        raise self.error(Inquiry(InquiryKind.UPDATE, "root", update_id, left), self.known)

    skip_children = retry

    async def pause(self, batch_id: str, *, mark: str) -> None:
        self.marks.append(mark)
        raise self.error(Inquiry(InquiryKind.EVENT, "root", mark), self.known)

    async def terminate(self, workflow_id: str, reason: str, *, mark: str) -> None:
        self.marks.append(mark)
        raise self.error(Inquiry(InquiryKind.EVENT, workflow_id, mark), self.known)

    resume = pause


@pytest.fixture
def mute(monkeypatch: pytest.MonkeyPatch) -> MuteGateway:
    gateway = MuteGateway()
    monkeypatch.setattr(child_requests, "gateway", lambda: gateway)
    monkeypatch.setattr(batch_actions, "gateway", lambda: gateway)
    return gateway


@pytest.fixture
def failed(make_batch: MakeBatch) -> Batch:
    """A batch of four children that have all failed."""
    batch = make_batch(4)
    start_root(batch)
    run_children(batch, dict.fromkeys(range(4), Status.FAILED))
    return batch


def unanswered(batch: Batch) -> UnansweredCommand:
    return UnansweredCommand.objects.select_related("operation", "audit").filter(batch=batch).latest("pk")


def newest(batch: Batch) -> AuditEntry:
    return batch.audit.select_related("unanswered")[0]


def nodes(batch: Batch) -> dict[int, Node]:
    return {position: child_of(batch, position) for position in range(4)}


@pytest.mark.parametrize("action", [Action.RETRY, Action.SKIP])
def test_an_operation_without_an_answer_says_so_and_later_what_came_of_it(
    operator: User, failed: Batch, mute: MuteGateway, action: Action
) -> None:
    mute.known = ChildrenAnswer(accepted=[0], refused={1: "already running"})
    operation = operations.freeze(operator, failed, action, Targets(status="failed"))
    with pytest.raises(NotKnownYet) as error:
        operations.confirm(operator, operation)
    assert error.value.operation == operation.pk
    command = unanswered(failed)
    assert [position for position, *_ in command.reserved] == [2, 3]
    assert newest(failed).not_known_since == command.sent_at
    operation.refresh_from_db()
    assert (operation.accepted_number, operation.refused_number) == (1, 1)
    assert progress_of([operation])[0].not_known_since == command.sent_at
    with pytest.raises(OperationError, match="already confirmed"):
        operations.confirm(operator, operation)

    replies = [Reply(True, ChildrenAnswer(accepted=[2], refused={3: "already completed"}))]
    for _ in range(2):
        settle_command(command, replies)
    operation = Operation.objects.get(pk=operation.pk)
    assert (operation.accepted_number, operation.refused_number) == (2, 2)
    assert progress_of([operation])[0].not_known_since is None
    assert newest(failed).outcome.startswith("2 accepted, 2 refused. Known ")
    assert newest(failed).not_known_since is None
    now = {position: node.status for position, node in nodes(failed).items()}
    done = Status.PENDING if action is Action.RETRY else Status.SKIPPED
    assert now == {0: done, 1: Status.FAILED, 2: done, 3: Status.FAILED}


def test_children_of_a_retry_that_was_not_done_get_their_operation_back_unless_a_later_one_has_them(
    operator: User, failed: Batch, mute: MuteGateway
) -> None:
    with pytest.raises(NotKnownYet):
        operations.retry(operator, failed, Targets(status="failed"))
    command = unanswered(failed)
    assert {node.operation_id for node in nodes(failed).values()} == {command.operation_id}
    later = operations.freeze(operator, failed, Action.RETRY, Targets(status="failed"))
    Node.objects.filter(pk=child_of(failed, 3).pk).update(operation=later)
    settle_command(command, [Reply(False, ChildrenAnswer(refused=dict.fromkeys(range(4), "not done")), "Not done.")])
    assert [node.operation_id for node in nodes(failed).values()] == [None, None, None, later.pk]
    assert newest(failed).outcome.startswith("0 accepted, 4 refused. Known ")


def test_a_retry_that_was_done_leaves_rows_alone_that_its_events_have_moved_already(
    operator: User, failed: Batch, mute: MuteGateway
) -> None:
    with pytest.raises(NotKnownYet):
        operations.retry(operator, failed, Targets(status="failed"))
    run_children(failed, dict.fromkeys(range(4), Status.COMPLETED), run=2)
    settle_command(unanswered(failed), [Reply(True, ChildrenAnswer(accepted=[0, 1, 2, 3]))])
    assert {node.status for node in nodes(failed).values()} == {Status.COMPLETED}
    assert {node.attempt for node in nodes(failed).values()} == {2}


@pytest.mark.parametrize("act", [lambda person, batch: operations.retry(person, batch, Targets(status="failed"))])
def test_the_same_intent_has_the_same_mark_until_it_is_answered(
    operator: User, failed: Batch, mute: MuteGateway, act: Callable[[User, Batch], Any]
) -> None:
    for press in (batch_actions.pause, batch_actions.pause, batch_actions.resume, batch_actions.pause):
        with pytest.raises(NotKnownYet):
            press(operator, failed)
    first, again, other, anew = mute.marks
    assert first == again
    assert len({first, other, anew}) == 3
    mute.marks.clear()
    for _ in range(2):
        with pytest.raises(NotKnownYet):
            act(operator, failed)
    assert mute.marks[0] == mute.marks[1]


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (Reply(True), "Accepted. Known "),
        (Reply(False, reason="Temporal did not carry it out."), "Failed: Temporal did not carry it out. Nothing was"),
    ],
)
def test_the_audit_trail_says_what_came_of_a_command(
    operator: User, failed: Batch, mute: MuteGateway, reply: Reply, outcome: str
) -> None:
    with pytest.raises(NotKnownYet, match="not known yet"):
        batch_actions.pause(operator, failed)
    settle_command(unanswered(failed), [reply])
    assert newest(failed).outcome.startswith(outcome)


def test_a_termination_of_children_stops_at_the_first_without_an_answer(
    operator: User, make_batch: MakeBatch, mute: MuteGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_requests, "AT_ONCE", 1)
    batch = make_batch(4)
    start_root(batch)
    run_children(batch, dict.fromkeys(range(4), Status.RUNNING))
    operation = operations.freeze(operator, batch, Action.TERMINATE, Targets(status="running"))
    with pytest.raises(NotKnownYet):
        operations.confirm(operator, operation)
    assert len(mute.marks) == 1
    settle_command(unanswered(batch), [Reply(True)])
    operation.refresh_from_db()
    assert (operation.accepted_number, operation.refused_number) == (1, 3)


def test_what_was_done_before_temporal_went_away_is_not_called_nothing(
    operator: User, failed: Batch, mute: MuteGateway
) -> None:
    mute.error = lambda inquiry, known: TemporalUnavailable("Can't reach Temporal.")
    with pytest.raises(OperationError, match="Nothing was changed") as error:
        operations.retry(operator, failed, Targets(status="failed"))
    assert error.value.status_code == 503
    assert {node.operation_id for node in nodes(failed).values()} == {None}


def test_the_api_names_the_operation_and_the_page_shows_that_it_is_not_known(
    operator: User, failed: Batch, mute: MuteGateway, client: Any
) -> None:
    headers = {"Authorization": f"Bearer {create_token(operator, 'test')}"}
    path = f"/api/v1/batches/{failed.pk}"
    answer = client.post(f"{path}/retry", {"status": "failed"}, "application/json", headers=headers)
    assert answer.status_code == 504
    operation = client.get(f"{path}/operations/{answer.json()['operation']}", headers=headers).json()
    assert operation["not_known_since"]
    entry = client.get(f"{path}/audit", headers=headers).json()[0]
    assert (entry["action"], entry["person"], bool(entry["not_known_since"])) == ("retry", "olga", True)
    client.force_login(operator)
    story = f"/batches/{failed.pk}/story/"
    found = client.get(story, headers={"HX-Request": "true"}, follow=True)
    assert "not known yet whether this was done" in found.content.decode()
    settle_command(unanswered(failed), [Reply(True, ChildrenAnswer(accepted=[0, 1, 2, 3]))])
    assert client.get(f"{path}/operations/{operation['id']}", headers=headers).json()["not_known_since"] is None
    assert "not known yet" not in client.get(story, headers={"HX-Request": "true"}, follow=True).content.decode()


def test_every_status_that_a_command_may_answer_is_documented(client: Any, operator: User) -> None:
    client.force_login(operator)
    paths = client.get("/api/v1/openapi.json").json()["paths"]
    for path, routes in paths.items():
        for method, route in routes.items():
            statuses = set(route["responses"])
            assert statuses >= {"400", "401", "403", "503"}, (method, path)
            if "requestBody" in route:
                assert statuses >= {"413", "415", "422"}, (method, path)
    commands = [path for path in paths if path.rpartition("/")[2] in COMMANDS]
    assert len(commands) >= len(COMMANDS)
    for path in commands:
        assert set(paths[path]["post"]["responses"]) >= {"409", "502", "503", "504"}, path


COMMANDS = (
    *("retry", "pause", "resume", "skip", "decide", "finish", "cancel", "terminate", "rollback", "window"),
    *("operations", "trigger"),
)
