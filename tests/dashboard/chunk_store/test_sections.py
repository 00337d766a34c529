"""Steps that fan out, over HTTP and in rows: over the batch's items, a list, what an earlier step found; going on."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from dashboard.chunk_store import sections
from dashboard.definitions.saving import create
from dashboard.launching.root_input import root_input
from dashboard.models import Batch, Item, Node
from orchestration.contracts.events import NodeKind
from orchestration.contracts.flows import FanOutRequest, FlowInput, Section
from orchestration.contracts.stores import CannotFanOut
from orchestration.contracts.workflow_ids import child_id
from tests.support import builders
from tests.support.definition_texts import save_definition
from tests.support.oracle import assert_consistent
from tests.support.stack import Stack

TEXT = """
kind: steps
steps:
  - name: first
    run: {processor: simulate, parameters: {seconds_from: 0, seconds_to: 0}}
  - name: each
    fan_out:
      processor: simulate
      parameters: {seconds_from: 0, seconds_to: 0, fail_first_attempts: 1}
      plan: {item_attempts: 1, failure_policy: tolerate, tolerated_percent: 50}
  - name: check
    if: {ref: each.completed, op: ">", value: 0}
    then:
      - name: more
        fan_out:
          processor: simulate
          parameters: {seconds_from: 0, seconds_to: 0}
          items: [{city: Bonn}, Ulm, 7]
"""


def test_a_flow_stops_at_a_fan_out_that_failed_and_goes_on_after_a_retry(stack: Stack) -> None:
    batch_id = stack.launch(
        definition=save_definition(stack, TEXT), items=[{"id": "a"}, {"id": "b"}, {"id": "c"}], key="id"
    )
    stopped = stack.wait_for(batch_id, "failed")
    # The one that was open when the limit was exceeded was canceled, or had failed by then.
    assert sum(stopped["children"][each] for each in ("failed", "canceled", "skipped")) == 3
    (each,) = stack.nodes(batch_id, kind="stage")
    assert (each["label"], each["status"]) == ("each", "failed")

    answer = stack.api("POST", f"/batches/{batch_id}/retry", {"status": "failed"}).json()
    assert (len(answer["accepted"]), answer["goes_on"]) == (3, True)
    again = stack.wait_for(batch_id, "completed")
    assert (again["children"]["completed"], again["items"]["completed"]) == (6, 6)
    stages = {node["label"]: node for node in stack.nodes(batch_id, kind="stage")}
    assert stages["more"]["note"] == "fan-out in check"
    steps = {node["label"]: node for node in stack.nodes(batch_id, kind="step")}
    assert steps["first"]["attempt"] == 1
    assert steps["first"]["note"] == "seconds: 0, attempt: 1", "its row says what came of it"
    assert steps["check"]["note"] == "branch: then"
    below = [node for node in stack.nodes(batch_id, kind="child") if node["parent"] == stages["more"]["id"]]
    assert len(below) == 3
    keys = [item["key"] for item in stack.api("GET", f"/batches/{batch_id}/items").json()["results"]]
    assert keys == ["a", "b", "c", "1", "Ulm", "7"]


def test_a_flow_without_children_goes_on_by_its_button(stack: Stack) -> None:
    text = """
kind: services
services:
  - {name: quick, processor: simulate, parameters: {seconds_from: 0, seconds_to: 0}}
  - {name: flaky, processor: simulate, parameters: {seconds_from: 2, seconds_to: 2}, timeout: 1}
"""
    batch_id = stack.launch(definition=save_definition(stack, text))
    stack.wait_for(batch_id, "failed")
    answer = stack.api("POST", f"/batches/{batch_id}/retry", {"status": "unfinished"})
    assert answer.json() == {"accepted": [], "refused": [], "goes_on": True}

    def attempts() -> dict[str, int]:
        return {node["label"]: node["attempt"] for node in stack.nodes(batch_id, kind="service")}

    stack.wait_for(batch_id, "failed")
    assert attempts() == {"quick": 1, "flaky": 2}


@pytest.fixture
def batch(operator: User) -> Batch:
    """Steps over four items that have not begun."""
    version = create(operator, "steps over items", TEXT)
    made = builders.make_batch(operator, 4, processor="steps", definition=version.pk)
    builders.start_root(made)
    return made


@pytest.mark.django_db
def test_sections_of_steps_are_written_once_in_whatever_order_they_come(batch: Batch) -> None:
    assert sections.begin_fan_out(FanOutRequest(batch.pk, 0, 0, 2, None)) == Section(0, 0, 0, 0, 4)
    listed = FanOutRequest(batch.pk, 2, 1, 5, ["x", {"name": "y"}], around="check")
    assert sections.begin_fan_out(listed) == sections.begin_fan_out(listed) == Section(2, 1, 4, 4, 2)
    assert sections.begin_fan_out(FanOutRequest(batch.pk, 1, 0, 4, None)) == Section(1, 0, 6, 6, 4)
    assert sections.begin_fan_out(FanOutRequest(batch.pk, 3, 1, 6, [])).items == 0
    items = Item.objects.filter(batch=batch).order_by("index").values_list("key", flat=True)
    own = [f"row-{index:04}" for index in range(4)]
    assert list(items) == [*own, "x", "2", *own]
    rows = Node.objects.filter(batch=batch, kind=NodeKind.STAGE).order_by("position")
    assert list(rows.values_list("position", "note")) == [(2, "fan-out"), (4, "fan-out"), (5, "fan-out in check")]
    assert Node.objects.get(kind=NodeKind.CHILD, position=6).workflow_id == child_id(batch.pk, 6, None, 1)
    batch.refresh_from_db()
    given = root_input(batch)
    assert isinstance(given, FlowInput)
    assert [section.first_child for section in given.sections] == [0, 6, 4]
    assert_consistent(batch.pk)


@pytest.mark.django_db
def test_a_list_that_is_too_long_for_its_plan_is_refused(operator: User) -> None:
    flat = TEXT.replace("items: [{city: Bonn}, Ulm, 7]", "plan: {partitions: never}\n          items: [1]")
    batch = builders.make_batch(operator, 1, processor="steps", definition=create(operator, "flat", flat).pk)
    builders.start_root(batch)
    with pytest.raises(CannotFanOut, match="5,000 children directly below one parent"):
        sections.begin_fan_out(FanOutRequest(batch.pk, 1, 1, 1, list(range(5_000))))
