"""Growth: pages of an input that become rows while the batch runs, each of them once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile

from dashboard.chunk_store import input_pages
from dashboard.live.state import input_progress
from dashboard.models import Batch, Item, Node, Upload
from dashboard.templatetags.canopy import reading_words
from orchestration.contracts.events import NodeKind
from orchestration.contracts.fan_out import InputPage, PageRequest
from orchestration.contracts.stores import InputUnreadable
from orchestration.plan.plan import Plan
from tests.support import builders
from tests.support.oracle import assert_consistent
from tests.support.stack import Stack

PAGED = Plan(paged=True, page_children=2, chunk_size=2)


@pytest.fixture
def batch(operator: User) -> Batch:
    """A batch of nine rows, one of them bad, that are not read yet."""
    content = "".join(f'{{"id": {number}}}\n' if number != 6 else "oops\n" for number in range(9))
    upload = Upload(name="rows.jsonl", size=len(content), sha256="", uploaded_by=operator)
    upload.file.save("rows.jsonl", ContentFile(content.encode()), save=True)
    made = builders.make_batch(operator, 0, plan=PAGED)
    made.source = {"kind": "jsonl", "upload": upload.pk, "key": "", "leave_out": True}
    made.save(update_fields=["source"])
    builders.start_root(made)
    return made


def page(batch: Batch, number: int) -> InputPage:
    return input_pages.read_page(PageRequest(batch.pk, number))


@pytest.mark.django_db
def test_pages_become_partitions_with_children_and_items_and_a_page_is_written_once(batch: Batch) -> None:
    assert page(batch, 0) == page(batch, 0) == InputPage(4, is_last=False)
    assert reading_words(input_progress(Batch.objects.get(pk=batch.pk))) == "Reading the input: 4 items so far."
    assert page(batch, 1) == InputPage(4, is_last=False)
    assert page(batch, 2) == InputPage(0, is_last=True)
    assert page(batch, 1) == InputPage(4, is_last=True)
    batch.refresh_from_db()
    assert (batch.item_count, batch.child_count, batch.partition_count) == (8, 4, 2)
    assert reading_words(input_progress(batch)).startswith("1 invalid row left out: line 7: Invalid JSON")
    assert list(Item.objects.filter(batch=batch).values_list("index", "child", "key")) == [
        *((0, 0, "0"), (1, 0, "1"), (2, 1, "2"), (3, 1, "3")),
        *((4, 2, "4"), (5, 2, "5"), (6, 3, "7"), (7, 3, "8")),
    ]
    partitions = Node.objects.filter(batch=batch, kind=NodeKind.PARTITION).order_by("position")
    assert [(node.offset, node.length, node.children_pending) for node in partitions] == [(0, 4, 2), (4, 4, 2)]
    assert_consistent(batch.pk)


@pytest.mark.django_db
def test_pages_that_the_database_has_lost_are_written_again_with_the_next(batch: Batch) -> None:
    """Its root has read two pages when the database is restored from before the first."""
    assert page(batch, 1) == InputPage(4, is_last=False)
    batch.refresh_from_db()
    assert (batch.item_count, batch.partition_count) == (8, 2)
    partitions = Node.objects.filter(batch=batch, kind=NodeKind.PARTITION).order_by("position")
    assert [(node.offset, node.length) for node in partitions] == [(0, 4), (4, 4)]
    assert page(batch, 0) == InputPage(4, is_last=False)
    assert page(batch, 5) == InputPage(0, is_last=True)
    assert_consistent(batch.pk)


@pytest.mark.django_db
def test_a_bad_row_that_nobody_said_to_leave_out_is_named_and_its_page_is_not_begun(batch: Batch) -> None:
    Batch.objects.filter(pk=batch.pk).update(source={**batch.source, "leave_out": False})
    assert page(batch, 0) == InputPage(4, is_last=False)
    with pytest.raises(InputUnreadable, match="Line 7: Invalid JSON"):
        page(batch, 1)
    batch.refresh_from_db()
    assert (batch.item_count, Item.objects.filter(batch=batch).count()) == (4, 4)
    assert_consistent(batch.pk)


@pytest.mark.django_db
def test_an_input_that_is_gone_or_empty_is_said(batch: Batch) -> None:
    upload = Upload.objects.get(pk=batch.source["upload"])
    upload.file.save("empty", ContentFile(b"\n\n"), save=True)
    with pytest.raises(InputUnreadable, match="There are no items"):
        page(batch, 0)
    upload.delete()
    with pytest.raises(LookupError, match="no longer exists"):
        page(batch, 0)


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        ({"failure_policy": "tolerate", "tolerated_percent": 5}, "unknown length"),
        ({"partitions": "never"}, "requires partitions"),
        ({"resource_field": "host"}, "no resource"),
        ({"chunk_size": 10_000, "page_children": 500}, "too large to be read at once"),
        ({"group_size": 3, "page_children": 500}, "whole groups"),
    ],
)
def test_what_does_not_go_with_reading_while_it_runs_is_refused(plan: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Plan(paged=True, **plan)


def test_a_batch_that_is_read_while_it_runs_is_one_batch_over_all_runs_of_its_root(stack: Stack) -> None:
    plan = {"paged": True, "page_children": 5, "chunk_size": 4, "item_attempts": 1}
    parameters = {"seconds_from": 0, "seconds_to": 0, "fail_percent": 4, "seed": 5}
    batch_id = stack.launch(processor="simulate", count=240, plan=plan, parameters=parameters)
    seen = stack.wait_for(batch_id, "completed_with_failures")
    assert (seen["items"]["total"], seen["children"]["total"]) == (240, 60)
    runs = json.loads(stack.temporal.cli("workflow", "list", "-q", f'WorkflowId="batch-{batch_id}"', "-o", "json"))
    assert len(runs) > 1, "it took several runs"
    (root,) = stack.nodes(batch_id, kind="root")
    assert (root["attempt"], root["status"]) == (1, "completed")
    failed = seen["children"]["failed"]
    assert failed
    answer = stack.api("POST", f"/batches/{batch_id}/retry", {"status": "failed"}).json()
    assert len(answer["accepted"]) == failed
    again = stack.wait_for(batch_id, "completed_with_failures")
    assert (again["items"]["total"], again["children"]["total"]) == (240, 60)
    retried = [node for node in stack.nodes(batch_id, kind="child") if node["attempt"] == 2]
    assert len(retried) == failed
