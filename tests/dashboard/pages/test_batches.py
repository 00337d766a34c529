"""GET /batches/<id>/ and its tree: head, actions by role and state, rows in pages, at most 15 queries."""

from __future__ import annotations

import gzip
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from dashboard.models import AuditEntry, Batch, Item, Node
from orchestration.contracts.events import NodeKind
from orchestration.contracts.status import Failure, Status
from orchestration.plan.plan import Plan
from tests.support.builders import START, close_root, make_batch, make_viewer, run_children, start_root

HTMX = {"HX-Request": "true"}
MOST_QUERIES = 15
MOST_QUERIES_OF_A_LINK = 17
"""To a child: with the drawer, and the page of the tree that has its row."""
BROKEN = Failure("HTTPStatusError", "HTTP 500 from shop.example")


def page(client: Client, batch: Batch, **query: Any) -> str:
    """Return the batch page."""
    answer = client.get(f"/batches/{batch.pk}/", query)
    assert answer.status_code == 200
    return answer.content.decode()


def rows(client: Client, batch: Batch, **query: Any) -> list[int]:
    """Return the positions of the children or partitions shown, in order."""
    answer = client.get(f"/batches/{batch.pk}/", query)
    return [row.node.position for row in answer.context["page"].tree.branch.rows]


def test_children_are_found_by_the_key_of_an_item_wherever_they_are(logged_in: Client, operator: User) -> None:
    batch = make_batch(operator, 2_400, plan=Plan(chunk_size=2))
    Item.objects.filter(batch=batch, index__in=(7, 2_001)).update(key="Order A_17%")
    assert rows(logged_in, batch, q="a_17%") == [3, 1_000]
    assert rows(logged_in, batch, q="A_17", status="pending", span="4-2000") == [1_000]
    assert rows(logged_in, batch, q="A_17", status="failed") == []
    assert rows(logged_in, batch, q=f"batch-{batch.pk}/p0/c3") == [3]
    assert "No key contains “&lt;b&gt;”." in page(logged_in, batch, q="<b>")
    many = logged_in.get(f"/batches/{batch.pk}/nodes/?q=1&page=2", headers=HTMX).content.decode()
    assert "?q=1&amp;page=3" in many


def test_an_unknown_batch_is_not_found(logged_in: Client) -> None:
    answer = logged_in.get("/batches/nothing/")
    assert answer.status_code == 404
    assert "Check the link" in answer.content.decode()


def test_only_safe_methods(logged_in: Client, operator: User) -> None:
    assert logged_in.post(f"/batches/{make_batch(operator).pk}/").status_code == 405


def test_progress_is_that_of_items_with_children_second(logged_in: Client, operator: User) -> None:
    batch = make_batch(operator, 8, plan=Plan(chunk_size=2))
    start_root(batch)
    run_children(batch, {0: Status.COMPLETED})
    text = page(logged_in, batch)
    assert (
        'data-count="completed" data-of="progress">2</b> of <span data-count="total" data-of="progress">8</span>'
        in text
    )
    assert 'data-field="children">4 children:' in text
    assert "<title>25% \N{EN DASH} simulate · Canopy</title>" in text


def test_header_says_what_was_launched_by_whom_and_settings_say_how(logged_in: Client, operator: User) -> None:
    batch = make_batch(operator, 7, label="Sevens", plan=Plan(chunk_size=2, window=3, hold_timeout=7_200))
    text = page(logged_in, batch)
    for part in ("Sevens", "by olga"):
        assert part in text
    settings = logged_in.get(f"/batches/{batch.pk}/settings/").content.decode()
    for title, value in (
        ("Chunk size", "2"),
        ("Min duration", "1 s"),
        ("Hold timeout", "2 h"),
        ("Hold at the end", "No"),
        ("When children fail", "Collect"),
    ):
        assert f"<dt>{title}</dt><dd>{value}</dd>" in settings
    assert "seconds_from" not in settings
    assert "7 items" in settings


TABS = {
    "": "treegrid",
    "errors/": "stock",
    "timeline/": "Slowest first",
    "results/": "Result column",
    "activity/": "Event log",
    "settings/": "Max concurrency",
}


def test_each_tab_has_an_address_with_the_same_header_and_is_the_current_one(logged_in: Client, operator: User) -> None:
    batch = make_batch(operator, 3, label="Tabbed")
    start_root(batch)
    run_children(batch, {0: Status.FAILED, 1: Status.COMPLETED}, failure=Failure("OutOfStock", "no stock left"))
    for path, own in TABS.items():
        address = f"/batches/{batch.pk}/{path}"
        text = logged_in.get(address).content.decode()
        for part in (
            '<span class="name" title="Tabbed">',
            "<dt>Time left</dt>",
            f'href="{address}" aria-current="page"',
        ):
            assert part in text, path
        assert own in text.split("<main", 1)[1], path
    assert logged_in.get(f"/batches/{batch.pk}/story/").headers["Location"] == f"/batches/{batch.pk}/activity/"


def test_a_line_above_the_tree_says_what_fails_and_how_the_batch_ended(logged_in: Client, operator: User) -> None:
    for batch, failed in ((make_batch(operator, 4), 1), (make_batch(operator, 4), 3)):
        start_root(batch)
        run_children(batch, {0: Status.FAILED} | dict.fromkeys(range(failed), Status.FAILED), failure=BROKEN)
        run_children(batch, dict.fromkeys(range(failed, 4), Status.COMPLETED))
        close_root(batch)
    line = logged_in.get(f"/batches/{batch.pk}/summary/", headers=HTMX).content.decode()
    words = " ".join(re.sub("<[^>]+>", "", line).split())
    assert words.startswith("3 failed, 1 cause: HTTP 500 from shop.example Finished in")
    assert "; 2 more failures" in words
    assert "Retry 3" in words


def test_the_page_is_small(logged_in: Client, operator: User) -> None:
    batch = make_batch(operator, 100)
    start_root(batch)
    run_children(batch, dict.fromkeys(range(100), Status.FAILED), failure=BROKEN)
    assert len(gzip.compress(page(logged_in, batch).encode())) < 40_000


def test_failures_come_first_then_running_pending_completed(logged_in: Client, operator: User) -> None:
    batch = make_batch(operator, 6)
    start_root(batch)
    run_children(batch, {0: Status.COMPLETED, 3: Status.TIMED_OUT, 4: Status.FAILED, 5: Status.RUNNING})
    assert rows(logged_in, batch) == [4, 3, 5, 1, 2, 0]


def test_children_come_in_pages_of_a_hundred(logged_in: Client, operator: User) -> None:
    batch = make_batch(operator, 250)
    assert rows(logged_in, batch, page="3") == list(range(200, 250))
    assert rows(logged_in, batch, page="99") == list(range(200, 250))
    assert "1–100 of 250" in page(logged_in, batch)


def test_a_status_filters_the_tree_across_partitions(logged_in: Client, operator: User) -> None:
    batch = make_batch(operator, 1_200)
    start_root(batch)
    run_children(batch, {7: Status.FAILED, 1_100: Status.FAILED})
    assert rows(logged_in, batch) == [0, 2, 1]
    assert rows(logged_in, batch, status="failed") == [7, 1_100]
    assert "No children with this status" in page(logged_in, batch, status="canceled")
    assert rows(logged_in, batch, status="nonsense") == [0, 2, 1]


def test_a_partition_opens_by_link_and_by_htmx(logged_in: Client, operator: User) -> None:
    batch = make_batch(operator, 1_200)
    partition = Node.objects.get(batch=batch, kind=NodeKind.PARTITION, position=1)
    text = page(logged_in, batch, open=partition.pk)
    assert text.count('data-kind="child"') == 100
    alone = logged_in.get(f"/batches/{batch.pk}/nodes/", {"open": partition.pk, "page": 2}, headers=HTMX)
    text = alone.content.decode()
    assert (text.count('data-kind="child"'), "#601" in text, "<table" in text) == (100, True, False)


def test_another_batchs_partition_is_not_found(logged_in: Client, operator: User) -> None:
    other = Node.objects.filter(batch=make_batch(operator, 1_200), kind=NodeKind.PARTITION)[0]
    batch = make_batch(operator)
    assert logged_in.get(f"/batches/{batch.pk}/nodes/", {"open": other.pk}, headers=HTMX).status_code == 404
    assert rows(logged_in, batch, open=other.pk) == [0, 1, 2, 3]


def test_a_link_to_the_rows_leads_to_the_page(logged_in: Client, operator: User) -> None:
    batch = make_batch(operator)
    answer = logged_in.get(f"/batches/{batch.pk}/nodes/?status=failed")
    assert answer.headers["Location"] == f"/batches/{batch.pk}/?status=failed"


@pytest.mark.parametrize(
    ("state", "offered"),
    [
        ("pending", {"discard"}),
        ("running", {"pause", "cancel", "terminate", "window"}),
        ("completed", set()),
    ],
)
def test_buttons_by_state(logged_in: Client, operator: User, state: str, offered: set[str]) -> None:
    batch = make_batch(operator, 2)
    if state != "pending":
        start_root(batch)
    if state == "completed":
        run_children(batch, {0: Status.COMPLETED, 1: Status.COMPLETED})
        close_root(batch)
    assert _offered(page(logged_in, batch), batch) == offered


def test_a_failed_batch_offers_what_is_left(logged_in: Client, operator: User) -> None:
    batch = make_batch(operator, 3)
    start_root(batch)
    run_children(batch, {0: Status.FAILED})
    close_root(batch, Status.FAILED, failure=Failure("FailurePolicyExceeded", "1 of 3 children failed, 0 tolerated"))
    text = page(logged_in, batch)
    assert _offered(text, batch) == {"retry"}
    assert "Retry all incomplete" in text
    assert "1 of 3 children failed, 0 tolerated" in text


def test_a_viewer_gets_nothing_that_changes_anything(visitor: Client, operator: User) -> None:
    batch = make_batch(operator, 2)
    start_root(batch)
    run_children(batch, {0: Status.FAILED})
    visitor.force_login(make_viewer())
    text = page(visitor, batch)
    main = text.split("<main", 1)[1].split("</main>", 1)[0]
    assert ('method="post"' in main, 'type="checkbox"' in main, 'role="search"' in main) == (False, False, True)
    assert "ask an administrator for the operator role" in main
    assert '<button class="button' not in main


def test_a_start_error_says_that_nothing_is_lost(logged_in: Client, operator: User) -> None:
    batch = make_batch(operator)
    Batch.objects.filter(pk=batch.pk).update(start_error="Can't reach Temporal.")
    text = page(logged_in, batch)
    assert 'Not started yet: <span data-field="start_error">Can&#x27;t reach Temporal.</span>' in text


def test_the_audit_trail_is_escaped_and_newest_first(logged_in: Client, operator: User) -> None:
    batch = make_batch(operator)
    AuditEntry.objects.create(batch=batch, person=operator, action="terminate", scope="<b>why</b>", outcome="Accepted.")
    text = logged_in.get(f"/batches/{batch.pk}/activity/", headers=HTMX).content.decode()
    assert text.index("terminated") < text.index("launched")
    assert "&lt;b&gt;why&lt;/b&gt;" in text


def test_bars_stand_on_one_time_axis(logged_in: Client, operator: User) -> None:
    batch = make_batch(operator, 4)
    start_root(batch)
    run_children(batch, {0: Status.COMPLETED}, took=timedelta(seconds=50))
    run_children(batch, {1: Status.COMPLETED}, at=START + timedelta(seconds=50), took=timedelta(seconds=150))
    run_children(batch, {2: Status.COMPLETED}, at=START + timedelta(seconds=199), took=timedelta(milliseconds=1))
    branch = logged_in.get(f"/batches/{batch.pk}/").context["page"].tree.branch
    bars = {row.node.position: (row.start, row.bar) for row in branch.rows}
    assert bars == {0: (0, 250), 1: (250, 750), 2: (988, 12), 3: (0, 0)}


@pytest.mark.parametrize("children", [10, 5_000])
def test_a_page_takes_at_most_fifteen_queries(
    logged_in: Client, operator: User, django_assert_max_num_queries: DjangoAssertNumQueries, children: int
) -> None:
    batch = make_batch(operator, children)
    start_root(batch, timezone.now() - timedelta(minutes=1))
    run_children(batch, {0: Status.FAILED, 1: Status.COMPLETED, 2: Status.RUNNING})
    child = Node.objects.get(batch=batch, kind=NodeKind.CHILD, position=0)
    query = {"open": child.parent_id} if children == 5_000 else {}
    with django_assert_max_num_queries(MOST_QUERIES):
        assert "1 failed" in page(logged_in, batch, **query).replace("</b>", "")
    with django_assert_max_num_queries(MOST_QUERIES_OF_A_LINK):
        logged_in.get(f"/batches/{batch.pk}/nodes/{child.pk}/")


def _offered(text: str, batch: Batch) -> set[str]:
    """Return which operations have a form or dialog button that is not hidden."""
    found = set()
    text = re.sub(r'<section id="parted"[^>]* hidden>.*?</section>', "", text, flags=re.DOTALL)
    for action in ("retry", "pause", "resume", "window"):
        forms = text.split(f'action="/batches/{batch.pk}/{action}/"')[1:]
        tags = [form.split(">", 1)[0] for form in forms]
        if any("data-when" in tag and "hidden" not in tag for tag in tags):
            found.add(action)
    if "hidden" not in text.split('<span class="split', 1)[1].split(">", 1)[0]:
        found.add("retry")
    for action in ("cancel", "terminate", "discard"):
        opener = text.split(f'data-dialog="confirm-{action}"', 1)[1].split(">", 1)[0]
        found |= set() if "hidden" in opener else {action}
    return found


def test_a_batch_that_failed_by_itself_says_why_although_no_child_failed(logged_in: Client, operator: User) -> None:
    batch = make_batch(operator, 2)
    start_root(batch)
    run_children(batch, {0: Status.COMPLETED, 1: Status.COMPLETED})
    close_root(batch, Status.FAILED, failure=Failure("Refused", "Nobody approved in time."))
    line = logged_in.get(f"/batches/{batch.pk}/summary/", headers=HTMX).content.decode()
    assert "Nobody approved in time." in line
    assert "Nothing failed" not in line
