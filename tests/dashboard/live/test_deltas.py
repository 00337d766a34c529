"""What a browser is sent: everything newer than the revision it has, once, in messages of bounded size."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dashboard.live import deltas
from dashboard.live import state as live_state
from dashboard.models import GENERATION, Batch, Node
from dashboard.projection.events import apply_events
from dashboard.projection.retries import requeue
from orchestration.contracts.events import EventKind, NodeKind, TreeEvent
from orchestration.contracts.status import Failure, Status
from tests.support.builders import START, MakeBatch, child_of, close_root, root_of, run_children, start_root, started

pytestmark = pytest.mark.django_db


def revision_of(batch: Batch) -> int:
    return Batch.objects.get(pk=batch.pk).revision


def changed(batch: Batch, since: int) -> list[dict[str, Any]]:
    return [node for message in deltas.batch_deltas(batch.pk, since) for node in message["nodes"]]


def test_nothing_is_sent_when_nothing_changed(make_batch: MakeBatch) -> None:
    batch = make_batch()
    assert list(deltas.batch_deltas(batch.pk, revision_of(batch))) == []
    assert list(deltas.batch_deltas("no-such-batch", 0)) == []


def test_a_delta_has_exactly_the_nodes_that_are_newer(make_batch: MakeBatch) -> None:
    batch = make_batch(items=6, chunk_size=2)
    start_root(batch)
    before = revision_of(batch)
    run_children(batch, {1: Status.FAILED}, failure=Failure("ServerError", "HTTP 500"))
    [delta] = deltas.batch_deltas(batch.pk, before)
    assert (delta["type"], delta["since"], delta["revision"]) == ("delta", before, revision_of(batch))
    assert (delta["more"], delta["reload"]) == (False, False)
    root, node = delta["nodes"]
    assert (root["kind"], root["children"]["failed"]) == ("root", 1), "it shows the batch's tallies, and always comes"
    assert node == {
        "id": child_of(batch, 1).pk,
        "revision": revision_of(batch),
        "kind": "child",
        "parent": root_of(batch).pk,
        "position": 1,
        "status": "failed",
        "attempt": 1,
        "started_at": START.isoformat(),
        "closed_at": (START + timedelta(seconds=2)).isoformat(),
        "error": {"type": "ServerError", "message": "HTTP 500"},
        "length": 2,
        "note": "",
        "items": {"completed": 1, "failed": 1},
    }
    assert delta["batch"]["children"]["failed"] == 1
    assert delta["batch"]["items"] == dict.fromkeys(delta["batch"]["items"], 0) | {
        "total": 6,
        "pending": 4,
        "completed": 1,
        "failed": 1,
    }


def test_partitions_and_the_root_come_with_their_children_counts(make_batch: MakeBatch) -> None:
    batch = make_batch(items=1_001)
    start_root(batch)
    run_children(batch, {0: Status.COMPLETED})
    nodes = {node["id"]: node for node in changed(batch, 1)}
    partition = Node.objects.get(batch=batch, kind=NodeKind.PARTITION, position=0)
    assert nodes[partition.pk]["children"]["completed"] == 1
    assert nodes[root_of(batch).pk]["children"]["pending"] == 1_000
    assert "children" not in nodes[child_of(batch, 0).pk]


def test_parents_show_what_is_below_them_and_are_halted_with_their_batch(make_batch: MakeBatch) -> None:
    batch = make_batch(items=1_001)
    start_root(batch)

    def shown(since: int) -> dict[str, list[str]]:
        found = dict[str, list[str]]()
        for node in changed(batch, since):
            found.setdefault(node["kind"], []).append(node["status"])
        return {kind: sorted(statuses) for kind, statuses in found.items()}

    before = revision_of(batch)
    root = root_of(batch)
    apply_events(batch.pk, [TreeEvent(EventKind.PAUSED, root.workflow_id, "", START + timedelta(seconds=1))])
    assert shown(before) == {"root": ["paused"], "partition": ["paused", "paused", "paused"]}
    before = revision_of(batch)
    apply_events(batch.pk, [TreeEvent(EventKind.RESUMED, root.workflow_id, "", START + timedelta(seconds=2))])
    assert shown(before) == {"root": ["running"], "partition": ["running", "running", "running"]}
    run_children(batch, {each: Status.FAILED if each < 501 else Status.COMPLETED for each in range(1_001)})
    close_root(batch, at=START + timedelta(seconds=9))
    ended = shown(before)
    assert ended["root"] == ["completed_with_failures"]
    assert ended["partition"] == ["completed", "completed_with_failures", "failed"], "each has the worst that is below"


def test_a_gap_is_filled_whatever_happened_in_it(make_batch: MakeBatch) -> None:
    batch = make_batch(items=5)
    since = revision_of(batch)
    start_root(batch)
    for position in range(5):
        run_children(batch, {position: Status.COMPLETED})
    close_root(batch)
    assert {node["status"] for node in changed(batch, since)} == {"completed"}
    assert len(changed(batch, since)) == 6
    assert changed(batch, revision_of(batch)) == []


def test_many_nodes_come_in_several_messages_and_the_last_says_so(make_batch: MakeBatch) -> None:
    batch = make_batch(items=700)
    apply_events(batch.pk, [started(node) for node in Node.objects.filter(batch=batch, kind=NodeKind.CHILD)])
    messages = list(deltas.batch_deltas(batch.pk, 1))
    assert [(len(message["nodes"]), message["more"]) for message in messages] == [(500, True), (201, False)]
    assert len({node["id"] for message in messages for node in message["nodes"]}) == 701


def test_too_many_nodes_become_a_reload(make_batch: MakeBatch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deltas, "NODES_PER_DELTA", 5)
    batch = make_batch(items=6)
    apply_events(batch.pk, [started(node) for node in Node.objects.filter(batch=batch, kind=NodeKind.CHILD)])
    [message] = deltas.batch_deltas(batch.pk, 1)
    assert (message["reload"], message["more"]) == (True, False)
    assert [node["kind"] for node in message["nodes"]] == ["root"]
    assert message["batch"]["children"]["running"] == 6


def test_a_revision_that_never_was_is_a_reload(make_batch: MakeBatch) -> None:
    """The database was restored from a backup while a browser was open."""
    batch = make_batch()
    [message] = deltas.batch_deltas(batch.pk, revision_of(batch) + 10)
    assert (message["reload"], message["revision"]) == (True, revision_of(batch))


def test_a_revision_from_before_a_restore_is_a_reload_however_low_it_is(make_batch: MakeBatch) -> None:
    batch = make_batch()
    start_root(batch)
    before = revision_of(batch)
    Batch.objects.filter(pk=batch.pk).update(revision=before + GENERATION)
    [delta] = deltas.batch_deltas(batch.pk, before)
    assert (delta["reload"], delta["revision"]) == (True, before + GENERATION)
    run_children(batch, {0: Status.COMPLETED})
    [delta] = deltas.batch_deltas(batch.pk, before + GENERATION)
    assert not delta["reload"]


def test_a_look_without_news_is_one_query_and_one_with_news_four(make_batch: MakeBatch) -> None:
    batch = make_batch(items=50)
    revision = revision_of(batch)
    with CaptureQueriesContext(connection) as queries:
        assert list(deltas.batch_deltas(batch.pk, revision)) == []
    assert len(queries) == 1
    run_children(batch, dict.fromkeys(range(50), Status.COMPLETED))
    with CaptureQueriesContext(connection) as queries:
        list(deltas.batch_deltas(batch.pk, 1))
    assert len(queries) == 4


def test_a_delta_reads_only_what_is_newer(make_batch: MakeBatch) -> None:
    batch = make_batch()
    newer = Node.objects.filter(batch=batch, revision__gt=1, revision__lte=9).order_by("revision")[:500]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:  # a table this small is cheaper to scan
            cursor.execute("SET LOCAL enable_seqscan = off")
    plan = newer.explain()
    assert "node_revision" in plan
    assert "TEMP B-TREE" not in plan


@pytest.mark.parametrize(
    ("seconds", "done", "expected"),
    [(10, 2, (0.2, None)), (20, 2, (0.1, 80.0)), (20, 0, (None, None)), (20, 10, (0.5, 0.0))],
)
def test_rate_and_time_left_are_told_after_15_seconds(
    make_batch: MakeBatch, seconds: int, done: int, expected: tuple[float | None, float | None]
) -> None:
    batch = make_batch(items=10)
    start_root(batch)
    run_children(batch, dict.fromkeys(range(done), Status.COMPLETED))
    batch.refresh_from_db()
    assert live_state.rate_and_eta(batch, START + timedelta(seconds=seconds)) == expected


def test_items_of_running_children_count_for_the_rate(make_batch: MakeBatch) -> None:
    batch = make_batch(items=10, chunk_size=10)
    start_root(batch)
    batch.refresh_from_db()
    batch.items_completed, batch.items_running, batch.items_pending = 5, 5, 0
    assert live_state.rate_and_eta(batch, START + timedelta(seconds=20)) == (0.25, 20.0)


def test_a_retry_is_timed_by_itself(make_batch: MakeBatch) -> None:
    batch = make_batch(items=10)
    start_root(batch)
    run_children(batch, dict.fromkeys(range(10), Status.FAILED))
    close_root(batch)
    requeue(batch.pk, dict.fromkeys(range(4), 1))
    again = START + timedelta(hours=1)
    apply_events(batch.pk, [started(root_of(batch), 2, again)])
    run_children(batch, {0: Status.COMPLETED}, run=2, at=again)
    batch.refresh_from_db()
    assert live_state.rate_and_eta(batch, again + timedelta(seconds=20)) == (0.05, 60.0)


def test_a_paused_batch_has_no_time_left(make_batch: MakeBatch) -> None:
    batch = make_batch(items=10)
    start_root(batch)
    run_children(batch, {0: Status.COMPLETED})
    batch.refresh_from_db()
    batch.status = "paused"
    assert live_state.rate_and_eta(batch, START + timedelta(minutes=1))[1] is None


def test_the_list_is_sent_what_changed_since_it_was_last_sent(make_batch: MakeBatch) -> None:
    sent = dict[str, int]()
    first, second = make_batch(), make_batch()
    message = deltas.batch_list_delta(sent)
    assert message is not None
    assert {state["id"] for state in message["batches"]} == {first.pk, second.pk}
    assert deltas.batch_list_delta(sent) is None
    start_root(second)
    message = deltas.batch_list_delta(sent)
    assert message is not None
    [state] = message["batches"]
    assert (state["id"], state["status"], state["launched_by"]) == (second.pk, "running", "olga")


def test_the_list_hears_of_a_close_but_not_of_old_batches(make_batch: MakeBatch) -> None:
    sent = dict[str, int]()
    batch, old = make_batch(items=1), make_batch(items=1)
    for each in (batch, old):
        start_root(each)
        run_children(each, {0: Status.COMPLETED})
    deltas.batch_list_delta(sent)
    close_root(batch, at=timezone.now())
    close_root(old)
    message = deltas.batch_list_delta(sent)
    assert message is not None
    assert [state["id"] for state in message["batches"]] == [batch.pk]
