"""GET /batches/: newest first, filtered by status, processor, person and text."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from orchestration.contracts.status import Status
from tests.support.builders import close_root, make_batch, make_person, make_viewer, run_children, start_root

URL = "/batches/"
HTMX = {"HX-Request": "true"}


def listed(client: Client, **filters: str) -> list[str]:
    """Return the labels shown, in order."""
    page = client.get(URL, filters).context["page"]
    return [row.batch.label for row in page.rows]


def test_a_login_is_required(visitor: Client) -> None:
    answer = visitor.get(URL)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/login/?next=/batches/")


def test_a_viewer_sees_the_list(visitor: Client, operator: User) -> None:
    make_batch(operator, label="Seen by all")
    visitor.force_login(make_viewer())
    assert listed(visitor) == ["Seen by all"]
    assert "Launch a batch" not in visitor.get(URL).content.decode()


def test_only_safe_methods(logged_in: Client) -> None:
    assert logged_in.post(URL).status_code == 405


def test_newest_first(logged_in: Client, operator: User) -> None:
    for label in ("first", "second", "third"):
        make_batch(operator, label=label)
    assert listed(logged_in) == ["third", "second", "first"]


def test_filters(logged_in: Client, operator: User) -> None:
    other = make_person("jon")
    make_batch(operator, label="Alpha", processor="http_request")
    beta = make_batch(other, label="Beta")
    start_root(beta)
    assert listed(logged_in, status="running") == ["Beta"]
    assert listed(logged_in, processor="http_request") == ["Alpha"]
    assert listed(logged_in, person="jon") == ["Beta"]
    assert listed(logged_in, q="ALP") == ["Alpha"]
    assert listed(logged_in, q=beta.pk[:6]) == ["Beta"]
    assert listed(logged_in, q="alpha", person="jon") == []


@pytest.mark.parametrize("query", [{"status": "nonsense"}, {"person": "nobody"}, {"page": "-1"}, {"page": "x" * 99}])
def test_invalid_values_in_the_query_string_are_ignored(
    logged_in: Client, operator: User, query: dict[str, str]
) -> None:
    make_batch(operator, label="Still here")
    assert logged_in.get(URL, query).status_code == 200


def test_an_empty_list_and_an_empty_filter_look_different(logged_in: Client, operator: User) -> None:
    assert "No batches yet" in logged_in.get(URL).content.decode()
    make_batch(operator)
    assert "No batch matches these filters" in logged_in.get(URL, {"q": "nope"}).content.decode()


def test_htmx_gets_the_rows_alone(logged_in: Client, operator: User) -> None:
    make_batch(operator, label="Row")
    text = logged_in.get(URL, headers=HTMX).content.decode()
    assert "Row" in text
    assert "<html" not in text


def test_a_history_restore_gets_the_whole_page(logged_in: Client) -> None:
    answer = logged_in.get(URL, headers={**HTMX, "HX-History-Restore-Request": "true"})
    assert "<html" in answer.content.decode()


def test_failures_are_leftmost_in_the_bar(logged_in: Client, operator: User) -> None:
    batch = make_batch(operator, 4)
    start_root(batch)
    run_children(batch, {0: Status.COMPLETED, 1: Status.COMPLETED, 2: Status.FAILED, 3: Status.COMPLETED})
    close_root(batch)
    text = logged_in.get(URL).content.decode()
    assert '<rect class="failed" x="0.00" width="250.00"' in text
    assert '<rect class="completed" x="250.00" width="750.00"' in text
    assert "Partially failed" in text


def test_markup_in_a_label_is_text(logged_in: Client, operator: User) -> None:
    make_batch(operator, label="<script>alert(1)</script> 🚀")
    text = logged_in.get(URL).content.decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt; 🚀" in text


def test_queries_do_not_grow_with_the_list(
    logged_in: Client, operator: User, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(60):
        make_batch(operator, 1)
    with django_assert_max_num_queries(12):
        answer = logged_in.get(URL)
    assert "1–50 of 60" in answer.content.decode()


def test_a_person_chooses_the_columns_and_a_saved_view_keeps_them(logged_in: Client, operator: User) -> None:
    batch = make_batch(operator, label="Seen")
    start_root(batch)
    run_children(batch, {0: Status.FAILED})
    usual = logged_in.get(URL).content.decode()
    assert ">Launched" in usual
    assert "children_failed" not in usual.split("</thead>")[0].split("<thead>")[1]
    answer = logged_in.get(URL, {"columns": ["took", "failed", "nonsense"], "q": "see"}, headers=HTMX)
    assert "created_at" not in answer.content.decode().split("</thead>")[0].split("<thead>")[1]
    address = answer.headers["HX-Push-Url"]
    assert address == "/batches/?columns=failed,took&q=see"
    logged_in.post("/views/", {"name": "Mine", "query": logged_in.get(address).context["page"].query})
    (view,) = logged_in.get(URL).context["page"].views
    assert logged_in.get(f"{URL}?{view.query}").context["page"].columns == ["failed", "took"]
    chosen = ["launched", "status", "items", "progress"]
    assert logged_in.get(URL, {"columns": chosen}, headers=HTMX).headers["HX-Push-Url"] == URL


def test_tabs_count_batches_by_status_within_the_other_filters(logged_in: Client, operator: User) -> None:
    for label, outcome in (("Alpha", Status.COMPLETED), ("Alps", Status.COMPLETED), ("Beta", None)):
        batch = make_batch(operator, 1, label=label)
        start_root(batch)
        if outcome:
            run_children(batch, {0: outcome})
            close_root(batch, outcome)

    def tabs(**given: str) -> list[tuple[str, int, bool]]:
        page = logged_in.get(URL, given).context["page"]
        return [(tab.label, tab.number, tab.is_current) for tab in page.tabs]

    assert tabs() == [("All", 3, True), ("Running", 1, False), ("Completed", 2, False)]
    assert tabs(q="al", status="completed") == [("All", 2, False), ("Completed", 2, True)]
    assert tabs(q="al", status="paused") == [("All", 2, False), ("Paused", 0, True), ("Completed", 2, False)]
    alone = logged_in.get("/batches/tabs/", {"q": "al"}).content.decode()
    assert ("Completed <b>2</b>" in alone, "<html" in alone) == (True, False)


def test_filters_that_are_set_are_chips_that_can_be_removed(logged_in: Client, operator: User) -> None:
    make_batch(operator, label="Alpha")
    page = logged_in.get(URL, {"q": "a", "person": "olga", "time": "day", "deep": "true", "sort": "label"}).context[
        "page"
    ]
    assert [(str(chip.name), str(chip.value)) for chip in page.chips] == [
        ("Person", "olga"),
        ("Launched", "The last 24 hours"),
        ("Search keys and errors too", ""),
    ]
    assert page.chips[0].without == "?deep=true&q=a&sort=label&time=day"


def test_a_header_sorts_and_says_how(logged_in: Client, operator: User) -> None:
    for label, items in (("b", 1), ("a", 3), ("c", 2)):
        make_batch(operator, items, label=label)
    given = {"columns": "children,launched"}
    headers = {header.column: header for header in logged_in.get(URL, given).context["page"].headers}
    assert (headers["launched"].order, headers["batch"].order) == ("descending", "")
    assert headers["launched"].query == "?columns=children,launched&sort=created_at"
    seen = logged_in.get(URL + headers["children"].query)
    assert [row.batch.label for row in seen.context["page"].rows] == ["a", "c", "b"]
    assert '<th scope="col" aria-sort="descending" class="number">' in seen.content.decode()
    (again,) = (each.query for each in seen.context["page"].headers if each.column == "children")
    assert [row.batch.label for row in logged_in.get(URL + again).context["page"].rows] == ["b", "c", "a"]
    assert listed(logged_in, sort="-closed_at") == ["c", "a", "b"]
