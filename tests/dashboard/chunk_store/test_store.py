"""DjangoChunkStore: what a child has still to do, and results that count once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from dashboard.backup.sqlite import check_database, copy_database
from dashboard.chunk_store.store import DjangoChunkStore
from dashboard.models import Batch, Item, Node, Operation
from dashboard.projection.events import apply_events
from dashboard.projection.settlement import discard
from orchestration.contracts.chunks import BegunItems, ChildRange, ChunkInput, ChunkNote, ItemResult
from orchestration.contracts.events import NodeKind
from orchestration.contracts.status import Failure, Status
from tests.support.builders import START, MakeBatch, child_of, closed, start_root, started
from tests.support.oracle import assert_consistent

BROKEN = Failure("ServerError", "HTTP 500", "Traceback")
WRITERS = 10

STATEMENTS = 12
"""Of a write: what it does to the batch and its nodes, and three for 1,100 items in SQLite, 500 at a time."""


def chunk(batch: Batch, child: int = 0, **given: Any) -> ChunkInput:
    node = child_of(batch, child)
    slice_ = {"offset": node.offset, "length": node.length} | given
    return ChunkInput(batch.pk, child, task_queue="canopy", timeout=timedelta(minutes=1), **slice_)


def result(
    batch: Batch, index: int, *, run: str = "run-1", failure: Failure | None = None, child: int = 0
) -> ItemResult:
    value = None if failure else {"n": index}
    return ItemResult(batch.pk, child, run, index, attempts=1, duration=0.5, result=value, failure=failure)


@pytest.fixture
def store() -> DjangoChunkStore:
    return DjangoChunkStore()


@pytest.mark.django_db
def test_a_first_run_gets_all_items_in_order(make_batch: MakeBatch, store: DjangoChunkStore) -> None:
    batch = make_batch(items=5, chunk_size=3)
    work = store.read_chunk(chunk(batch, 1), "run-1")
    assert [(item.index, item.key, item.attempts) for item in work.items] == [(3, "row-0003", 0), (4, "row-0004", 0)]
    assert (work.processor, work.plan.chunk_size, work.completed, work.failed) == ("simulate", 3, 0, 0)


@pytest.mark.django_db
def test_a_resumed_run_gets_what_it_has_not_done(make_batch: MakeBatch, store: DjangoChunkStore) -> None:
    batch = make_batch(items=4, chunk_size=4)
    store.write_results([result(batch, 0), result(batch, 1, failure=BROKEN)])
    work = store.read_chunk(chunk(batch), "run-1")
    assert ([item.index for item in work.items], work.completed, work.failed) == ([2, 3], 1, 1)
    assert work.sample is not None
    assert work.sample.message == "HTTP 500"


@pytest.mark.django_db
def test_a_later_run_gets_what_failed_too(make_batch: MakeBatch, store: DjangoChunkStore) -> None:
    batch = make_batch(items=4, chunk_size=4)
    store.write_results([result(batch, 0), result(batch, 1, failure=BROKEN)])
    work = store.read_chunk(chunk(batch), "run-2")
    assert [(item.index, item.attempts) for item in work.items] == [(1, 1), (2, 0), (3, 0)]
    assert (work.completed, work.failed, work.sample) == (1, 0, None)


@pytest.mark.django_db
def test_a_child_gets_the_parameters_of_the_retry_that_took_it_on(
    make_batch: MakeBatch, store: DjangoChunkStore
) -> None:
    batch = make_batch(items=2)
    retry = Operation.objects.create(batch=batch, person=batch.launched_by, number=1, parameters={"seed": 7})
    Node.objects.filter(pk=child_of(batch, 1).pk).update(operation=retry)
    assert store.read_chunk(chunk(batch, 0), "run-1").parameters == batch.parameters
    assert store.read_chunk(chunk(batch, 1), "run-1").parameters == {"seed": 7}


@pytest.mark.django_db
def test_a_batch_or_slice_that_is_not_there_is_a_lookup_error(make_batch: MakeBatch, store: DjangoChunkStore) -> None:
    batch = make_batch(items=2)
    with pytest.raises(LookupError, match="does not exist"):
        store.read_chunk(ChunkInput("gone", 0, 0, 1, "canopy", timedelta(minutes=1)), "run-1")
    with pytest.raises(LookupError, match="0 of the items"):
        store.read_chunk(chunk(batch, offset=7, length=2), "run-1")


@pytest.mark.django_db
def test_the_same_result_again_counts_once(make_batch: MakeBatch, store: DjangoChunkStore) -> None:
    batch = make_batch(items=3, chunk_size=3)
    results = [result(batch, 0), result(batch, 1, failure=BROKEN)]
    store.write_results(results)
    revision = Batch.objects.get(pk=batch.pk).revision
    store.write_results([*results, *results])
    batch.refresh_from_db()
    assert (batch.items_completed, batch.items_failed, batch.revision) == (1, 1, revision)
    assert Item.objects.get(batch=batch, index=1).earlier == []
    assert_consistent(batch.pk)


@pytest.mark.django_db
def test_results_by_the_thousand_are_written_in_few_statements(
    make_batch: MakeBatch, store: DjangoChunkStore, django_assert_max_num_queries: Any
) -> None:
    batch = make_batch(items=1_100, chunk_size=1_100)
    with django_assert_max_num_queries(STATEMENTS) as seen:
        store.write_results([result(batch, index) for index in range(1_099)])
    assert not [query for query in seen.captured_queries if " times: " in query["sql"][:20]]
    items = batch.items.order_by("index").values_list("status", "result", "duration", "attempts", "run_id")
    assert [*items[:1_099]] == [(Status.COMPLETED, {"n": index}, 0.5, 1, "run-1") for index in range(1_099)]
    assert items[1_099][0] == Status.PENDING


@pytest.mark.django_db
def test_a_completed_item_never_becomes_anything_else(make_batch: MakeBatch, store: DjangoChunkStore) -> None:
    batch = make_batch(items=1)
    store.write_results([result(batch, 0)])
    store.write_results([result(batch, 0, run="run-2", failure=BROKEN)])
    assert Item.objects.get(batch=batch).status == Status.COMPLETED
    assert_consistent(batch.pk)


@pytest.mark.django_db
def test_a_lost_worker_cannot_fail_an_item_of_a_newer_run(make_batch: MakeBatch, store: DjangoChunkStore) -> None:
    batch = make_batch(items=1)
    child = child_of(batch, 0)
    apply_events(batch.pk, [closed(child, Status.TIMED_OUT), started(child, 2, START + timedelta(minutes=1))])
    store.write_results([result(batch, 0, run=f"run-{child.pk}-1", failure=BROKEN)])
    assert Item.objects.get(batch=batch).status == Status.PENDING
    store.write_results([result(batch, 0, run=f"run-{child.pk}-1")])
    assert Item.objects.get(batch=batch).status == Status.COMPLETED
    assert_consistent(batch.pk)


@pytest.mark.django_db
def test_results_of_several_batches_and_of_none_are_written_at_once(
    make_batch: MakeBatch, store: DjangoChunkStore
) -> None:
    first, second = make_batch(items=2), make_batch(items=2)
    gone = ItemResult("gone", 0, "run-1", 0, 1, 0.1)
    store.write_results([result(first, 0), gone, result(second, 1, child=1)])
    for batch in (first, second):
        batch.refresh_from_db()
        assert batch.items_completed == 1
        assert_consistent(batch.pk)


@pytest.mark.django_db
def test_what_no_database_can_hold_is_replaced(make_batch: MakeBatch, store: DjangoChunkStore) -> None:
    batch = make_batch(items=1)
    odd = ItemResult(batch.pk, 0, "run-1", 0, 1, 0.1, result={"a\x00b": ["\ud800", "\N{FIRE}", 1.5, float("nan")]})
    store.write_results([odd])
    assert Item.objects.get(batch=batch).result == {"a\ufffdb": ["?", "\N{FIRE}", 1.5, "nan"]}


@pytest.mark.django_db(transaction=True)
def test_ten_threads_write_and_others_read_without_a_locked_database(
    make_batch: MakeBatch, logged_in: Client, tmp_path: Path
) -> None:
    """Results and events of two batches from ten threads at once: nothing is locked, lost or counted twice.

    Meanwhile the batches are watched and downloaded, and the database is copied.
    """
    batches = [make_batch(items=30, chunk_size=3) for _ in range(2)]
    nodes = {batch.pk: list(Node.objects.filter(batch=batch, kind=NodeKind.CHILD)) for batch in batches}

    def write(writer: int) -> None:
        for batch in batches:
            for node in nodes[batch.pk][writer::WRITERS]:
                _run_child(batch, node)

    reads = [partial(_watch, logged_in, batches[0]), partial(_copy, tmp_path / "copy.sqlite3")]
    with ThreadPoolExecutor(WRITERS + len(reads)) as threads:
        writes = [threads.submit(_released, partial(write, writer)) for writer in range(WRITERS)]
        others = [threads.submit(_released, read, until=writes) for read in reads]
        for done in [*writes, *others]:
            done.result(timeout=60)
    for batch in batches:
        batch.refresh_from_db()
        assert (batch.children_completed, batch.items_completed) == (10, 30)
        assert_consistent(batch.pk)


def _released(act: Callable[[], None], until: Sequence[Future[None]] = ()) -> None:
    """Act once, and as long as others do; then give the thread's connection back."""
    try:
        act()
        while not all(other.done() for other in until):
            act()
    finally:
        connection.close()


def _watch(browser: Client, batch: Batch) -> None:
    mine = Client()
    mine.cookies = browser.cookies
    page, download = (mine.get(f"/batches/{batch.pk}/{of}") for of in ("", "items.jsonl"))
    assert (page.status_code, download.status_code) == (200, 200)
    assert asyncio.run(_lines(download)) == batch.item_count


async def _lines(download: Any) -> int:
    return b"".join([part async for part in download]).count(b"\n")


def _copy(target: Path) -> None:
    if connection.vendor == "sqlite":
        copy_database(Path(connection.settings_dict["NAME"]), target)
        check_database(target)


def _run_child(batch: Batch, node: Node) -> None:
    store, later = DjangoChunkStore(), START + timedelta(seconds=5)
    steps: list[Callable[[], None]] = [
        lambda: apply_events(batch.pk, [started(node)]),
        *(
            lambda index=index: store.write_results([result(batch, index, child=node.position)])
            for index in range(node.offset, node.offset + node.length)
        ),
        lambda: apply_events(batch.pk, [closed(node, Status.COMPLETED, at=later)]),
    ]
    for step in steps:
        step()


@pytest.mark.django_db
def test_a_discarded_batch_is_not_processed_though_its_start_arrives_late(make_batch: MakeBatch) -> None:
    batch = make_batch(2)
    assert discard(batch.pk)
    start_root(batch)
    batch.refresh_from_db()
    assert batch.status == "canceled"
    work = ChunkInput(batch.pk, 0, 0, 1, "canopy", timedelta(minutes=1))
    with pytest.raises(LookupError, match="was discarded"):
        DjangoChunkStore().read_chunk(work, "run")


@pytest.mark.django_db
def test_what_was_begun_after_a_loss_is_counted_by_run_and_forgotten_by_pass(
    make_batch: MakeBatch, store: DjangoChunkStore
) -> None:
    batch = make_batch(items=3, chunk_size=3)
    for token in ("first", "first", "second"):
        store.note_begun(BegunItems(batch.pk, "run-1", token, [0, 1]))
    store.note_begun(BegunItems(batch.pk, "run-0", "older", [2]))
    store.forget_begun(BegunItems(batch.pk, "run-1", "second", [1]))
    work = store.read_chunk(chunk(batch, after_loss=True), "run-1")
    assert [item.ends for item in work.items] == [2, 1, 0]
    assert [item.ends for item in store.read_chunk(chunk(batch), "run-1").items] == [0, 0, 0]
    store.note_begun(BegunItems("gone", "run-1", "first", [0]))


@pytest.mark.django_db
def test_times_are_those_of_temporal_whatever_the_clock_of_the_worker_says(
    make_batch: MakeBatch, store: DjangoChunkStore
) -> None:
    batch = make_batch(items=3, chunk_size=1)
    start_root(batch)
    apply_events(batch.pk, [started(child_of(batch, 0))])
    times = [START + timedelta(seconds=second) for second in (1, 2)]
    store.write_results([replace(result(batch, 0), finished_at=times[0])])
    store.write_results([replace(result(batch, 1, failure=BROKEN, child=1), finished_at=times[1])])
    found = Item.objects.filter(batch=batch).order_by("index").values_list("finished_at", flat=True)
    assert [*found] == [*times, None]
    name = child_of(batch, 0).workflow_id
    for at, text in ((times[1], "second"), (times[0], "first, arrived later")):
        store.write_note(ChunkNote(batch.pk, 0, text, at))
    assert Node.objects.get(batch=batch, workflow_id=name).note == "second"


@pytest.mark.django_db
def test_children_lack_what_is_not_done_or_not_undone(make_batch: MakeBatch, store: DjangoChunkStore) -> None:
    batch = make_batch(items=8, chunk_size=2)
    store.write_results([result(batch, index, child=index // 2) for index in (0, 1, 2, 4, 5)])
    store.write_results([result(batch, 3, child=1, failure=BROKEN)])
    store.write_results([replace(result(batch, 4, child=2), undone=True)])
    store.write_results([replace(result(batch, index), undone=True) for index in (0, 1)])
    assert store.lacking_children(ChildRange(batch.pk, 0, 3)) == [1]
    assert store.lacking_children(ChildRange(batch.pk, 2, 4)) == [3]
    assert store.lacking_children(ChildRange(batch.pk, 0, 4, undo=True)) == [1, 2]
    with pytest.raises(LookupError):
        store.lacking_children(ChildRange("0" * 12, 0, 1))
