"""Pipelines: definitions over items, launched with them; stages as rows, which items passed, which did not and why."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from dashboard.chunk_store import sections
from dashboard.chunk_store.store import DjangoChunkStore
from dashboard.definitions.saving import create
from dashboard.launching.root_input import root_input
from dashboard.models import Batch, Item, Node
from orchestration.contracts.chunks import ItemResult
from orchestration.contracts.events import NodeKind
from orchestration.contracts.flows import FlowInput, Section, SectionRequest
from orchestration.contracts.status import Failure
from orchestration.definitions.parser import parse
from orchestration.definitions.source_tree import DefinitionErrors
from orchestration.processors.catalogue import processors
from tests.support import builders
from tests.support.definition_texts import save_definition
from tests.support.oracle import assert_consistent
from tests.support.stack import Stack

TEXT = """
kind: pipeline
stages:
  - name: check
    processor: simulate
    parameters: {seconds_from: 0, seconds_to: 0, fail_first_attempts: 1}
    plan: {chunk_size: 2, item_attempts: 1}
    keep: {ref: item.size, op: "<", value: 8}
  - name: load
    processor: simulate
    parameters: {seconds_from: 0, seconds_to: 0}
    plan: {chunk_size: 1}
"""
SIZES = [{"name": f"file-{size}", "size": size} for size in range(1, 11)]


def test_a_pipeline_is_launched_with_its_items_and_a_retry_moves_them_on(stack: Stack) -> None:
    version = save_definition(stack, TEXT)
    batch_id = stack.launch(definition=version, items=SIZES, key="name")
    first = stack.wait_for(batch_id, "failed")
    assert (first["children"]["total"], first["items"]["failed"]) == (5, 10), "all items fail their first attempt"
    assert (first["progress"]["total"], first["progress"]["failed"]) == (10, 10)
    (check,) = stack.nodes(batch_id, kind="stage")
    assert (check["label"], check["status"]) == ("check", "completed")

    assert len(stack.api("POST", f"/batches/{batch_id}/retry", {"nodes": [check["id"]]}).json()["accepted"]) == 5
    again = stack.wait_for(batch_id, "completed")
    assert (again["items"]["total"], again["items"]["completed"]) == (17, 17)
    given = {status: number for status, number in again["progress"].items() if number}
    assert given == {"total": 10, "completed": 7, "skipped": 3}, "of the items it was given, however many stages"
    stages = {node["label"]: node for node in stack.nodes(batch_id, kind="stage")}
    assert stages["check"]["note"] == "7 passed on, 3 dropped"
    below = [node for node in stack.nodes(batch_id, kind="child") if node["parent"] == stages["load"]["id"]]
    assert len(below) == 7
    items = stack.api("GET", f"/batches/{batch_id}/items?limit=100").json()["results"]
    dropped = {item["key"]: item["dropped"] for item in items if item["dropped"]}
    assert set(dropped) == {"file-8", "file-9", "file-10"}
    assert dropped["file-8"] == "Dropped by check: item.size < 8 is not met."


def test_a_pipeline_without_items_and_services_with_them_are_refused(stack: Stack) -> None:
    answer = stack.api("POST", "/batches", {"definition": save_definition(stack, TEXT)})
    assert answer.status_code == 422
    assert answer.json()["errors"]["items"] == ["Provide either items or count."]
    services = "kind: services\nservices: [{name: one, processor: simulate}]"
    answer = stack.api("POST", "/batches", {"definition": save_definition(stack, services), "count": 3})
    assert answer.status_code == 422
    assert answer.json()["errors"]["items"] == ["This definition takes no items."]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("plan: {paged: true}", "cannot have paged"),
        ("plan: {paged: true, page_children: 10}", "cannot have paged"),
        ('keep: {ref: stage.x, op: "==", value: 1}', 'There is no step "stage"'),
        ("takes: nothing", "'item' or 'result'"),
    ],
)
def test_a_stage_that_cannot_work_is_refused_with_line_and_reason(line: str, reason: str) -> None:
    with pytest.raises(DefinitionErrors) as raised:
        parse(f"kind: pipeline\nstages:\n  - name: one\n    processor: simulate\n    {line}\n", processors())
    assert raised.value.errors[0].line == 5
    assert reason in raised.value.errors[0].message


@pytest.mark.parametrize(
    ("option", "named"),
    [
        ("child_attempts: 2", "child_attempts"),
        ("child_run_timeout: 60", "child_run_timeout"),
        ("child_execution_timeout: 60", "child_execution_timeout"),
        ("cancellation: abandon", "cancellation without wait"),
        ("chunk_size: 2", "chunk_size above 1"),
    ],
)
def test_a_plan_that_would_cut_off_the_compensation_of_a_saga_is_refused(option: str, named: str) -> None:
    text = SAGAS.replace("plan: {item_attempts: 1}", f"plan: {{{option}}}")
    with pytest.raises(DefinitionErrors) as raised:
        parse(text, processors())
    assert raised.value.errors[0].message == f"The plan of a saga per item cannot have {named}."


@pytest.fixture
def batch(operator: User) -> Batch:
    """A pipeline over four items, in chunks of two, that has not started."""
    version = create(
        operator, "two stages", TEXT.replace("load\n    processor", "load\n    takes: result\n    processor")
    )
    made = builders.make_batch(operator, 4, processor="pipeline", definition=version.pk)
    builders.start_root(made)
    return made


def finish(batch: Batch, index: int, result: Any) -> None:
    failure = result if isinstance(result, Failure) else None
    item = Item.objects.get(batch=batch, index=index)
    value = None if failure else result
    given = ItemResult(batch.pk, item.child, f"run-{index}", index, 1, 0.1, result=value, failure=failure)
    DjangoChunkStore().write_results([given])


@pytest.mark.django_db
def test_a_section_has_the_items_passed_since_the_last_one_and_is_written_once(batch: Batch) -> None:
    items = Item.objects.filter(batch=batch)
    for index, size in enumerate((1, 9, 2, 3)):
        items.filter(index=index).update(data={"size": size})
    finish(batch, 0, {"n": 10})
    finish(batch, 1, {"n": 11})
    finish(batch, 2, Failure("Broken", "no"))
    section = sections.advance(SectionRequest(batch.pk, 1, 1))
    assert section == sections.advance(SectionRequest(batch.pk, 1, 1)) == Section(1, 1, 2, 4, 1)
    finish(batch, 2, {"n": 12})
    finish(batch, 3, 13)
    assert sections.advance(SectionRequest(batch.pk, 2, 1)) == Section(2, 1, 3, 5, 2)
    assert sections.advance(SectionRequest(batch.pk, 3, 1)).items == 0
    later = list(items.filter(index__gte=4).order_by("index").values_list("child", "key", "data"))
    assert later == [(2, "row-0000", {"n": 10}), (3, "row-0002", {"n": 12}), (4, "row-0003", {"value": 13})]
    stages = Node.objects.filter(batch=batch, kind=NodeKind.STAGE).order_by("position")
    assert [(node.label, node.offset, node.length) for node in stages] == [
        ("check", 0, 4),
        ("load", 4, 1),
        ("load", 5, 2),
    ]
    batch.refresh_from_db()
    assert (batch.item_count, batch.child_count) == (7, 5)
    given = root_input(batch)
    assert isinstance(given, FlowInput)
    assert given.sections == [Section(0, 0, 0, 0, 4), Section(1, 1, 2, 4, 1), Section(2, 1, 3, 5, 2)]
    assert_consistent(batch.pk)


@pytest.mark.django_db
def test_the_form_takes_and_checks_items_and_keeps_its_input(operator: User, client: Client) -> None:
    version = create(operator, "over a file", TEXT)
    client.force_login(operator)
    here = f"/launch/definition/?definition={version.pk}"
    assert b"What it does" in client.get(here).content
    form = {
        "format": "csv",
        "text": "name,size\na,1\nb\n",
        "key": "",
        "label": "",
        "idempotency_key": "x",
        "upload": "",
    }
    preview = client.post(f"/launch/definition/{version.pk}/preview/", form)
    assert b"1 cell, but the header has 2." in preview.content
    refused = client.post(here, form)
    assert refused.status_code == 422
    assert b"name,size\na,1\nb" in refused.content.replace(b"\r\n", b"\n")
    assert not Batch.objects.exists()
    answer = client.post(here, form | {"leave_out": "on"})
    batch = Batch.objects.get()
    assert answer.headers["Location"] == f"/batches/{batch.pk}/"
    assert (batch.item_count, batch.definition_id, batch.label) == (1, version.pk, "over a file")
    assert (batch.source["left_out"], batch.window) == (1, 50)
    again = client.get(f"{here}&like={batch.pk}").content
    assert b"name,size" in again
    page = client.get(f"/batches/{batch.pk}/").content.decode()
    assert 'data-kind="stage"' in page
    stage = Node.objects.get(kind=NodeKind.STAGE)
    opened = client.get(f"/batches/{batch.pk}/?open={stage.pk}").content.decode()
    assert opened.count('data-kind="child"') == 1


SAGAS = """
kind: saga
fan_out: true
plan: {item_attempts: 1}
steps:
  - name: reserve
    processor: simulate
    parameters: {seconds_from: 0, seconds_to: 0}
    compensation: {processor: simulate, parameters: {seconds_from: 0, seconds_to: 0}}
  - name: charge
    processor: simulate
    parameters: {seconds_from: 0, seconds_to: 0, fail_percent: 50}
    input: {amount: {ref: item.amount}}
"""


def test_a_saga_of_each_item_is_launched_with_its_items_and_drawn_below_its_child(stack: Stack) -> None:
    orders = [{"order": f"A-{number}", "amount": number} for number in range(12)]
    batch_id = stack.launch(definition=save_definition(stack, SAGAS), items=orders, key="order")
    seen = stack.wait_for(batch_id, "completed_with_failures")
    failed, completed = seen["items"]["failed"], seen["items"]["completed"]
    assert failed > 0
    assert completed > 0
    assert failed + completed == 12
    children = {node["id"]: node for node in stack.nodes(batch_id, kind="child")}
    steps = {node["id"]: node for node in stack.nodes(batch_id, kind="step")}
    rollbacks = stack.nodes(batch_id, kind="rollback")
    assert (len(steps), len(rollbacks)) == (24, failed)
    assert {children[steps[each["parent"]]["parent"]]["status"] for each in rollbacks} == {"failed"}
    items = stack.api("GET", f"/batches/{batch_id}/items?limit=100").json()["results"]
    assert all("Undone: reserve." in item["error"]["message"] for item in items if item["error"])
    assert all(set(item["result"]) == {"reserve", "charge"} for item in items if item["result"])
