"""GET /batches/<id>/nodes/<node>/ and its items: errors of this and earlier attempts, input, results, Temporal."""

from __future__ import annotations

from urllib.parse import quote

from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from dashboard.chunk_store.store import DjangoChunkStore
from dashboard.models import Batch, Item, Node
from dashboard.projection.events import apply_events
from dashboard.projection.retries import requeue
from dashboard.queries.step_results import SHOWN_SIZE
from orchestration.contracts.events import EventKind, NodeKind, Place, TreeEvent
from orchestration.contracts.status import Failure, Status
from orchestration.contracts.step_results import StepResult
from orchestration.plan.plan import Plan
from tests.support.builders import START, child_of, make_batch, make_viewer, root_of, run_children, start_root

HTMX = {"HX-Request": "true"}


def pane(client: Client, node: Node) -> str:
    """Return the pane of a node."""
    answer = client.get(f"/batches/{node.batch_id}/nodes/{node.pk}/", headers=HTMX)
    assert answer.status_code == 200
    return answer.content.decode()


def test_a_retried_child_shows_both_errors(logged_in: Client, operator: User) -> None:
    batch = make_batch(operator, 2)
    start_root(batch)
    run_children(batch, {0: Status.FAILED}, failure=Failure("ServerError", "HTTP 500 <b>", "Traceback: line 7"))
    requeue(batch.pk, {0: 1})
    run_children(batch, {0: Status.FAILED}, run=2, failure=Failure("Timeout", "no answer within 10 s"))
    text = pane(logged_in, child_of(batch, 0))
    assert "no answer within 10 s" in text
    assert "HTTP 500 &lt;b&gt;" in text
    assert text.index("no answer within 10 s") < text.index("HTTP 500 &lt;b&gt;")
    assert "Retry this child" in text


def test_a_failed_item_shows_its_stack_trace_and_input(logged_in: Client, operator: User) -> None:
    batch = make_batch(operator, 1)
    start_root(batch)
    run_children(batch, {0: Status.FAILED}, failure=Failure("ServerError", "HTTP 500", "Traceback: line 7"))
    text = pane(logged_in, child_of(batch, 0))
    assert "Traceback: line 7" in text
    assert "https://example.org/0" in text


def test_the_path_from_the_root_to_a_child_is_shown(logged_in: Client, operator: User) -> None:
    batch = make_batch(operator, 1_200)
    child = child_of(batch, 700)
    path = logged_in.get(f"/batches/{batch.pk}/nodes/{child.pk}/", headers=HTMX).context["pane"].path
    assert [node.title for node in path] == ["Root", "Partition 2"]
    text = pane(logged_in, child)
    assert text.index(f"/nodes/{path[0].pk}/") < text.index(f"/nodes/{path[1].pk}/")
    assert 'aria-label="Path from the root"' not in pane(logged_in, path[0])


def test_items_of_a_chunk_come_in_pages_with_failures_first(logged_in: Client, operator: User) -> None:
    batch = make_batch(operator, 120, plan=Plan(chunk_size=120))
    start_root(batch)
    run_children(batch, {0: Status.FAILED})
    node = child_of(batch, 0)
    text = pane(logged_in, node)
    keys = text.split("item-list", 1)[1]
    assert keys.index("row-0119") < keys.index("row-0000")
    assert "1–50 of 120" in text
    last = logged_in.get(f"/batches/{batch.pk}/nodes/{node.pk}/items/?page=3", headers=HTMX).content.decode()
    assert "101–120 of 120" in last
    plain = logged_in.get(f"/batches/{batch.pk}/nodes/{node.pk}/items/?page=3")
    assert plain.headers["Location"] == f"/batches/{batch.pk}/nodes/{node.pk}/?items=3"
    assert "101–120 of 120" in logged_in.get(plain.headers["Location"]).content.decode()


def test_one_item_has_a_page(logged_in: Client, operator: User) -> None:
    batch = make_batch(operator, 4, plan=Plan(chunk_size=4))
    Item.objects.filter(batch=batch, index=2).update(data={"cell": "x" * 100_000 + "</pre><script>"})
    url = f"/batches/{batch.pk}/items/2/"
    whole, alone = logged_in.get(url).content.decode(), logged_in.get(url, headers=HTMX).content.decode()
    assert ("<html" in whole, "<html" in alone) == (True, False)
    assert "cut here: 100," in alone
    assert "<script>" not in alone
    assert logged_in.get(f"/batches/{batch.pk}/items/99/").status_code == 404


def test_a_plain_link_gets_the_batch_page_with_the_pane(logged_in: Client, operator: User) -> None:
    batch = make_batch(operator)
    text = logged_in.get(f"/batches/{batch.pk}/nodes/{child_of(batch, 1).pk}/").content.decode()
    assert 'role="treegrid"' in text
    assert 'class="pane"' in text


def test_a_link_to_a_child_shows_the_page_of_the_tree_that_has_its_row(logged_in: Client, operator: User) -> None:
    batch = make_batch(operator, 1_200)
    child = child_of(batch, 1_150)
    text = logged_in.get(f"/batches/{batch.pk}/nodes/{child.pk}/").content.decode()
    assert f'id="node-{child.pk}"' in text
    assert text.count('data-kind="child"') == 100


def test_the_next_failure_is_looked_for_from_a_position(logged_in: Client, operator: User) -> None:
    batch = make_batch(operator, 8)
    address = f"/batches/{batch.pk}/nodes/failure/"
    assert logged_in.get(address).headers["Location"] == f"/batches/{batch.pk}/"
    assert logged_in.get(address, headers=HTMX).status_code == 204
    start_root(batch)
    run_children(batch, {1: Status.COMPLETED, 2: Status.FAILED, 4: Status.TIMED_OUT, 6: Status.FAILED})
    expected = {"": 2, "after=2": 4, "after=4": 6, "after=6": 2, "before=6": 4, "before=2": 6, "after=x": 2}
    for query, position in expected.items():
        found = logged_in.get(f"{address}?{query}").headers["Location"]
        assert found == f"/batches/{batch.pk}/nodes/{child_of(batch, position).pk}/", query
    assert "Failure 2 of 3" in pane(logged_in, child_of(batch, 4))
    assert "Failure " not in pane(logged_in, child_of(batch, 1))


def test_a_run_is_fetched_in_pages_of_its_own(logged_in: Client, operator: User) -> None:
    batch = make_batch(operator, 130)
    start_root(batch)
    run_children(batch, {position: Status.FAILED if position < 5 else Status.COMPLETED for position in range(130)})
    whole = logged_in.get(f"/batches/{batch.pk}/").content.decode()
    assert whole.count('data-kind="child"') == 5
    assert "… 125 completed" in whole
    part = logged_in.get(f"/batches/{batch.pk}/nodes/?run=completed&page=2", headers=HTMX).content.decode()
    assert (part.count('data-kind="child"'), part.count('data-status="failed"'), "<table" in part) == (25, 0, False)
    assert "101–125 of 125" in part
    plain = logged_in.get(f"/batches/{batch.pk}/?run=completed").content.decode()
    assert (plain.count('data-kind="child"'), "1–100 of 125" in plain) == (105, True)


def test_links_lead_to_temporals_own_ui(logged_in: Client, operator: User, settings: Settings) -> None:
    settings.TEMPORAL_UI_URL, settings.TEMPORAL_NAMESPACE = "http://temporal:8233/", "team a"
    batch = make_batch(operator, 1_001)
    start_root(batch)
    run_children(batch, {600: Status.COMPLETED})
    node = child_of(batch, 600)
    address = f"http://temporal:8233/namespaces/team%20a/workflows/batch-{batch.pk}%2Fp1%2Fc600/{node.run_id}"
    assert f'href="{address}"' in pane(logged_in, node)
    settings.TEMPORAL_UI_URL = ""
    assert "Open in Temporal" not in pane(logged_in, node)


def test_a_child_shows_its_trace_and_where_to_look_at_it(logged_in: Client, operator: User, settings: Settings) -> None:
    batch = make_batch(operator, 2)
    assert "pane-trace" not in pane(logged_in, child_of(batch, 0))
    trace = "0af7651916cd43dd8448eb211c80319c"
    Batch.objects.filter(pk=batch.pk).update(traceparent=f"00-{trace}-b7ad6b7169203331-01")
    shown = pane(logged_in, child_of(batch, 0))
    assert f'id="pane-trace">{trace}<' in shown
    assert "Open trace" not in shown
    settings.CANOPY_TRACE_URL = "https://traces.test/trace/{trace_id}?find={run_id}%20{workflow_id}"
    for run, of_workflow in (("run-1", "run-1"), ("run-2/0.1", "run-2")):
        Node.objects.filter(pk=child_of(batch, 0).pk).update(run_id=run)
        child = child_of(batch, 0)
        found = f"{of_workflow}%20{quote(child.workflow_id, safe='')}"
        assert f'href="https://traces.test/trace/{trace}?find={found}"' in pane(logged_in, child)


def test_every_kind_of_node_has_a_pane(logged_in: Client, operator: User) -> None:
    batch = make_batch(operator, 1_001)
    start_root(batch)
    for kind, word in ((NodeKind.ROOT, str(batch)), (NodeKind.PARTITION, "Partition 1"), (NodeKind.CHILD, "#1")):
        assert word in pane(logged_in, Node.objects.filter(batch=batch, kind=kind).order_by("position")[0])


def test_another_batchs_child_is_not_found(logged_in: Client, operator: User) -> None:
    one, other = make_batch(operator), make_batch(operator)
    node = child_of(other, 0)
    for path in (f"nodes/{node.pk}/", f"nodes/{node.pk}/items/", "nodes/999999999999999999999/"):
        assert logged_in.get(f"/batches/{one.pk}/{path}", headers=HTMX).status_code == 404


def test_a_viewer_has_no_enabled_button(visitor: Client, operator: User) -> None:
    batch: Batch = make_batch(operator)
    start_root(batch)
    run_children(batch, {0: Status.FAILED})
    visitor.force_login(make_viewer())
    text = pane(visitor, child_of(batch, 0))
    assert "<form" not in text
    assert "disabled" in text


def step_with_result(batch: Batch, text: str, outcome: Status = Status.COMPLETED) -> Node:
    """Return the row of a step that has run, and whose result is in the database."""
    root = root_of(batch)
    name = f"{root.workflow_id}/get"
    place = Place(root.workflow_id, NodeKind.STEP, "get", 1, is_workflow=False)
    events = [TreeEvent(EventKind.STARTED, name, "run/1", START, place=place)]
    apply_events(batch.pk, [*events, TreeEvent(EventKind.CLOSED, name, "run/1", START, outcome)])
    DjangoChunkStore().write_step_result(StepResult.of(batch.pk, name, text))
    return Node.objects.get(batch=batch, kind=NodeKind.STEP)


def test_what_a_step_returned_is_shown_and_downloaded(logged_in: Client, operator: User) -> None:
    node = step_with_result(make_batch(operator, 1), '{"answer": "forty <two>"}')
    text = pane(logged_in, node)
    assert "forty &lt;two&gt;" in text
    address = f"/batches/{node.batch_id}/nodes/{node.pk}/result/"
    assert address in text
    assert logged_in.get(address).json() == {"answer": "forty <two>"}
    assert logged_in.get(f"/api/v1{address.rstrip('/')}").json() == {"answer": "forty <two>"}
    DjangoChunkStore().write_step_result(StepResult.of(node.batch_id, node.workflow_id, '{"answer": "of a later run"}'))
    assert logged_in.get(address).json() == {"answer": "of a later run"}


def test_what_a_step_returned_is_only_downloaded_where_it_is_large(logged_in: Client, operator: User) -> None:
    node = step_with_result(make_batch(operator, 1), '"' + "x" * SHOWN_SIZE + '"')
    text = pane(logged_in, node)
    assert "xxxx" not in text
    assert f"/nodes/{node.pk}/result/" in text


def test_a_step_that_has_not_completed_has_no_result(logged_in: Client, operator: User) -> None:
    node = step_with_result(make_batch(operator, 1), "1", Status.FAILED)
    assert "/result/" not in pane(logged_in, node)
    address = f"/batches/{node.batch_id}/nodes/{node.pk}/result"
    assert logged_in.get(f"{address}/").status_code == 404
    answer = logged_in.get(f"/api/v1{address}")
    assert (answer.status_code, "has no result" in answer.json()["detail"]) == (404, True)
