"""The map: every child as a cell, in bytes, and the same as a table; updated by revision."""

from __future__ import annotations

import gzip
import math
from array import array
from datetime import timedelta

import pytest
from django.test import Client

from dashboard.models import Batch, Node
from dashboard.projection.events import apply_events
from dashboard.projection.retries import requeue
from dashboard.queries.batch_map import EMPTY, STATUSES, BatchMap, duration_code, ranges_of, seconds_from_code
from orchestration.contracts.events import NodeKind
from orchestration.contracts.status import Status
from tests.support.builders import START, MakeBatch, child_of, closed, started

pytestmark = pytest.mark.django_db(transaction=True)


def read(content: bytes) -> tuple[list[str], list[int]]:
    """Return statuses and duration codes from the bytes that a browser gets."""
    number = len(content) // 3
    return [STATUSES[code].value for code in content[:number]], array("H", content[number:]).tolist()


def run(batch: Batch, position: int, outcome: Status, seconds: float) -> None:
    child = child_of(batch, position)
    apply_events(batch.pk, [started(child), closed(child, outcome, at=START + timedelta(seconds=seconds))])
    batch.refresh_from_db()


def test_a_map_has_each_child_s_status_and_duration_in_order(make_batch: MakeBatch, logged_in: Client) -> None:
    batch = make_batch(5)
    run(batch, 1, Status.CANCELED, 2.5)
    run(batch, 4, Status.FAILED, 90)
    response = logged_in.get(f"/batches/{batch.pk}/map/")
    statuses, durations = read(response.content)
    assert statuses == ["pending", "canceled", "pending", "pending", "failed"]
    assert durations[0] == 0
    assert seconds_from_code(durations[1]) == pytest.approx(2.5, rel=0.001)
    assert seconds_from_code(durations[4]) == pytest.approx(90, rel=0.001)
    assert response["X-Canopy-Revision"] == str(batch.revision)


def test_a_map_reads_what_has_changed_since_its_revision(make_batch: MakeBatch) -> None:
    batch = make_batch(3)
    found = BatchMap()
    found.update(batch)
    run(batch, 0, Status.TIMED_OUT, 1)
    found.update(batch)
    assert read(found.content())[0] == ["timed_out", "pending", "pending"]
    requeue(batch.pk, {0: 1})
    batch.refresh_from_db()
    found.update(batch)
    assert read(found.content()) == (["pending", "pending", "pending"], [0, 0, 0])
    before = found.content()
    found.update(batch)
    assert found.content() == before


def test_starts_are_seconds_since_the_launch(make_batch: MakeBatch, logged_in: Client) -> None:
    batch = make_batch(3)
    child = child_of(batch, 1)
    apply_events(batch.pk, [started(child, at=batch.created_at + timedelta(seconds=12.5))])
    starts = array("f", logged_in.get(f"/batches/{batch.pk}/map/starts/").content)
    assert [math.isnan(each) for each in starts] == [True, False, True]
    assert starts[1] == pytest.approx(12.5, abs=0.001)


def test_a_leaf_that_became_a_parent_leaves_its_cell_empty(make_batch: MakeBatch) -> None:
    batch = make_batch(2)
    found = BatchMap()
    found.update(batch)
    batch.revision += 1
    Node.objects.filter(pk=child_of(batch, 0).pk).update(kind=NodeKind.PARENT, revision=batch.revision)
    found.update(batch)
    assert found.content()[:2] == bytes([EMPTY, 0])


@pytest.mark.parametrize("given", [0.0, 0.001, 1.0, 59.99, 3_600.0, 2_000_000.0])
def test_a_duration_is_exact_to_a_tenth_of_a_percent(given: float) -> None:
    assert seconds_from_code(duration_code(given)) == pytest.approx(given, rel=0.001, abs=0.0005)


def test_the_table_has_the_same_in_ranges(make_batch: MakeBatch, logged_in: Client) -> None:
    batch = make_batch(50)
    run(batch, 0, Status.COMPLETED, 1)
    run(batch, 49, Status.FAILED, 1)
    ranges = ranges_of(batch)
    assert [(each.first, each.last) for each in ranges][:2] == [(0, 2), (3, 5)]
    assert (ranges[-1].first, ranges[-1].last) == (48, 49)
    assert ranges[-1].numbers == [("failed", "Failed", 1), ("pending", "Pending", 1)]
    assert sum(number for each in ranges for *_, number in each.numbers) == 50
    part = logged_in.get(f"/batches/{batch.pk}/map/table/", headers={"HX-Request": "true"}).content.decode()
    assert "?span=48-49" in part
    rows = logged_in.get(f"/batches/{batch.pk}/?span=48-49").context["page"].tree.branch.rows
    assert [row.node.position for row in rows] == [49, 48]


def test_keys_of_cells_are_read_in_pages(make_batch: MakeBatch, logged_in: Client) -> None:
    batch = make_batch(3)
    found = logged_in.get(f"/batches/{batch.pk}/map/cells/?span=1-99").json()["cells"]
    node = child_of(batch, 1)
    assert found[0] == {
        "position": 1,
        "key": node.key_first,
        "url": f"/batches/{batch.pk}/nodes/{node.pk}/",
    }
    assert [cell["position"] for cell in found] == [1, 2]
    assert logged_in.get(f"/batches/{batch.pk}/map/cells/?span=7-99").json()["cells"] == []


def test_a_map_is_compressed_and_requires_a_login(make_batch: MakeBatch, logged_in: Client, client: Client) -> None:
    batch = make_batch(400)
    response = logged_in.get(f"/batches/{batch.pk}/map/", headers={"Accept-Encoding": "gzip"})
    assert response["Content-Encoding"] == "gzip"
    assert len(gzip.decompress(response.content)) == 1_200
    assert client.get(f"/batches/{batch.pk}/map/").status_code == 302
    assert logged_in.get("/batches/nothing/map/").status_code == 404
