"""Items are delegated to none of Canopy's own workflows, and to those that an installation lists."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from temporalio.workflow import _Definition

from orchestration.contracts.names import OWN_WORKFLOWS
from orchestration.definitions.parser import parse
from orchestration.definitions.source_tree import DefinitionErrors
from orchestration.processors.builtin.workflow import WorkflowParameters
from orchestration.processors.delegation_policy import id_problem, queue_problem, type_problem
from orchestration.worker import WORKFLOWS
from tests.support.definition_texts import wrong

SERVICES = """
kind: services
services:
  - {{name: one, workflow_type: {type}, task_queue: {queue}}}
"""


def test_every_workflow_that_a_worker_registers_is_canopys_own() -> None:
    assert {_Definition.must_from_class(each).name for each in WORKFLOWS} == OWN_WORKFLOWS


@pytest.mark.parametrize(
    ("workflow_type", "task_queue", "field"),
    [
        *((name, "orders", "workflow_type") for name in sorted(OWN_WORKFLOWS)),
        (" FanOutWorkflow ", "orders", "workflow_type"),
        ("temporal-sys-scheduler-workflow", "orders", "workflow_type"),
        ("Order", "canopy", "task_queue"),
        ("Order", "canopy-dashboard", "task_queue"),
        ("Order", "canopy-schedules", "task_queue"),
        ("Order", "/_sys/canopy/1", "task_queue"),
    ],
)
def test_no_workflow_of_canopys_own_types_or_on_its_queues_is_started(
    workflow_type: str, task_queue: str, field: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        WorkflowParameters(workflow_type=workflow_type, task_queue=task_queue)
    assert [each["loc"] for each in refused.value.errors()] == [(field,)]
    if workflow_type != "ServiceWorkflow":  # the type of services that are a processor
        found = wrong(SERVICES.format(type=repr(workflow_type), queue=repr(task_queue)))
        assert [path for _line, path, _message in found] == [f"services[0].{field}"]


def test_an_installation_may_list_types_and_queues(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not type_problem("Order")
    assert not queue_problem("orders")
    monkeypatch.setenv("CANOPY_WORKFLOW_TYPES", "Order, Invoice")
    monkeypatch.setenv("CANOPY_WORKFLOW_QUEUES", "orders")
    assert not type_problem("Invoice")
    assert not queue_problem("orders")
    assert "CANOPY_WORKFLOW_TYPES" in type_problem("Payment")
    assert "CANOPY_WORKFLOW_QUEUES" in queue_problem("others")


def test_a_list_cannot_allow_canopys_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANOPY_WORKFLOW_TYPES", "FanOutWorkflow")
    monkeypatch.setenv("CANOPY_WORKFLOW_QUEUES", "canopy")
    assert type_problem("FanOutWorkflow")
    assert queue_problem("canopy")


def test_what_was_saved_before_a_list_was_made_can_be_read_and_not_launched(monkeypatch: pytest.MonkeyPatch) -> None:
    text = SERVICES.format(type="Payment", queue="orders")
    monkeypatch.setenv("CANOPY_WORKFLOW_TYPES", "Order")
    assert parse(text, {}, to_launch=False).kind == "services"
    with pytest.raises(DefinitionErrors):
        parse(text, {})


@pytest.mark.parametrize("name", ["batch-0123456789ab", "entity-simulate-7", "resource-printer", "notification-1"])
def test_ids_that_canopy_shares_are_not_taken(name: str) -> None:
    assert id_problem(name)
    assert not id_problem(f"my-{name}")
