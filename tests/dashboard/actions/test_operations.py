"""Operations on chosen children against the running product: frozen, confirmed, carried out, and their progress."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from django.contrib.auth.models import User

from dashboard.actions import operations
from dashboard.actions.operations import OperationOptions
from dashboard.actions.targets import Targets
from dashboard.errors import OperationError
from dashboard.models import Action
from orchestration.contracts.status import Status
from tests.support.builders import make_batch, run_children, start_root
from tests.support.stack import Stack
from tests.support.waiting import wait_until

AT_ONCE = {"seconds_from": 0, "seconds_to": 0}
ONE_ATTEMPT = {"item_attempts": 1}


def operate(stack: Stack, batch: str, **given: Any) -> httpx.Response:
    return stack.api("POST", f"/batches/{batch}/operations", given)


def carried_out(stack: Stack, batch: str, **given: Any) -> dict[str, Any]:
    """Return what became of an operation, which on a busy machine is known only later."""
    answer = operate(stack, batch, **given)
    assert answer.is_success or answer.status_code == 504, answer.text
    found: dict[str, Any] = answer.json()
    if answer.status_code == 504:
        path = f"/batches/{batch}/operations/{found['operation']}"
        wait_until(lambda: stack.api("GET", path).json()["not_known_since"] is None, "what came of it is known")
        found = stack.api("GET", path).json()
    return found


def all_fail(stack: Stack, count: int = 6) -> str:
    batch = stack.launch(
        processor="simulate", parameters=AT_ONCE | {"fail_percent": 100}, count=count, plan=ONE_ATTEMPT
    )
    stack.wait_for(batch, "failed")
    return batch


def test_a_retry_with_other_parameters_fixes_exactly_the_selected_children(stack: Stack) -> None:
    batch = all_fail(stack)
    answer = operate(stack, batch, span="1-3", parameters={"fail_percent": 0}, window=2, reason="stock is back")
    assert answer.status_code == 201
    operation = answer.json()
    assert (operation["number"], operation["items"], operation["accepted"]) == (3, 3, 3)
    assert operation["words"] == "from #2 to #4"
    stack.wait_for(batch, "completed_with_failures")

    def fixed() -> bool:
        found = stack.api("GET", f"/batches/{batch}/operations/{operation['id']}").json()
        return (found["mended"], found["failed"], found["under_way"]) == (3, 0, 0)

    wait_until(fixed, "accepted children are fixed")
    statuses = {node["workflow_id"][-1]: node["status"] for node in stack.nodes(batch, kind="child")}
    assert [statuses[str(position)] for position in range(6)] == ["failed", *["completed"] * 3, *["failed"] * 2]
    assert stack.batch(batch)["window"] == 2

    again = operate(stack, batch, status="failed").json()
    stack.wait_for(batch, "completed_with_failures")
    assert again["accepted"] == 3
    wait_until(
        lambda: stack.api("GET", f"/batches/{batch}/operations/{again['id']}").json()["failed"] == 3,
        "a retry as it is fails again: the other parameters were for the three alone",
    )


def test_running_children_are_canceled_or_terminated_and_others_left_alone(stack: Stack) -> None:
    slow = {"seconds_from": 300, "seconds_to": 300}
    batch = stack.launch(processor="simulate", parameters=slow, count=4, plan={"window": 3, **ONE_ATTEMPT})
    wait_until(lambda: len(stack.nodes(batch, status="running", kind="child")) == 3, "three children run")
    first, second, third = (node["id"] for node in stack.nodes(batch, status="running", kind="child"))
    pending = stack.nodes(batch, status="pending", kind="child")[0]["id"]
    canceled = carried_out(stack, batch, action="cancel", nodes=[first])
    ended = carried_out(stack, batch, action="terminate", nodes=[second, pending], reason="stuck")
    assert (canceled["accepted"], ended["accepted"]) == (1, 1)
    assert ended["refused"] == [{"position": 3, "reason": "it is pending"}]

    def status(node: int) -> str:
        return next(str(each["status"]) for each in stack.nodes(batch, kind="child") if each["id"] == node)

    wait_until(lambda: status(first) == "canceled", "the first is canceled")
    wait_until(lambda: status(second) == "terminated", "the second is terminated")
    assert status(third) == "running"
    stack.api("POST", f"/batches/{batch}/terminate")


def test_pending_and_failed_children_are_skipped_in_a_running_and_in_a_closed_batch(stack: Stack) -> None:
    slow = {"seconds_from": 300, "seconds_to": 300}
    batch = stack.launch(processor="simulate", parameters=slow, count=5, plan={"window": 1, **ONE_ATTEMPT})
    wait_until(lambda: stack.batch(batch)["children"]["running"] == 1, "the first child runs")
    skipped = carried_out(stack, batch, action="skip", span="0-3", reason="not today")
    assert (skipped["number"], skipped["accepted"], skipped["refused"]) == (3, 3, [])
    assert stack.batch(batch)["children"]["skipped"] == 3
    running = stack.nodes(batch, status="running", kind="child")[0]["id"]
    operate(stack, batch, action="terminate", nodes=[running])

    def are_running() -> list[str]:
        return [node["workflow_id"].rpartition("/")[2] for node in stack.nodes(batch, status="running", kind="child")]

    wait_until(lambda: are_running() == ["c4"], "the last child runs: the three are left out")
    operate(stack, batch, action="cancel", span="4-4")
    stack.wait_for(batch, "failed")
    closed = carried_out(stack, batch, action="skip", status="failed")
    assert (closed["accepted"], stack.batch(batch)["children"]["skipped"]) == (1, 4)
    assert stack.api("GET", f"/batches/{batch}/errors").json() == []


@pytest.mark.parametrize(
    ("given", "status", "message"),
    [
        ({}, 422, "Provide exactly one of"),
        ({"span": "0-1", "status": "failed"}, 422, "Provide exactly one of"),
        ({"span": "1"}, 422, "pattern"),
        ({"span": "90-99"}, 409, "Retry is not possible for any selected child"),
        ({"action": "explode", "status": "failed"}, 422, "retry"),
        ({"status": "failed", "window": 0}, 422, "Max concurrency must be between 1"),
        ({"status": "failed", "parameters": {"fail_percent": "many"}}, 422, "parameters.fail_percent"),
        ({"status": "failed", "parameters": {"nonsense": 1}}, 422, "parameters.nonsense"),
        ({"action": "cancel", "nodes": [1], "parameters": {}}, 409, "cannot be changed"),
        ({"nodes": [987654321]}, 404, "no node"),
        ({"nodes": list(range(200_000))}, 422, "At most 10,000 children can be named one by one."),
    ],
)
def test_a_refused_operation_says_why_and_is_not_stored(
    stack: Stack, failed_batch: str, given: dict[str, Any], status: int, message: str
) -> None:
    answer = operate(stack, failed_batch, **given)
    assert answer.status_code == status
    assert message in answer.text
    assert stack.batch(failed_batch)["children"]["failed"] == 2


@pytest.fixture(scope="module")
def failed_batch(stack: Stack) -> str:
    """A batch of two failed children that no test changes."""
    return all_fail(stack, 2)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_at_one_press", [True, False])
def test_an_operation_without_temporal_has_no_effect_and_can_be_confirmed_again(
    operator: User, *, is_at_one_press: bool
) -> None:
    batch = make_batch(operator, 2)
    start_root(batch)
    run_children(batch, dict.fromkeys(range(2), Status.FAILED))
    choice = Targets(status="failed")

    def ask() -> None:
        if is_at_one_press:
            operations.retry(operator, batch, choice)
        else:
            frozen = operations.freeze(operator, batch, Action.RETRY, choice)
            operations.confirm(operator, frozen, OperationOptions(parameters={"seconds_to": 0}))

    with pytest.raises(OperationError) as refused:
        ask()
    assert refused.value.status_code == 503
    (operation,) = batch.operations.all()
    assert (operation.confirmed_at, operation.number) == (None, 2)
    assert list(operation.nodes.all()) == []
    assert "Failed: " in batch.audit.filter(action="retry").get().outcome
