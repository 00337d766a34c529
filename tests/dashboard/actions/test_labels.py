"""Tags, notes, saved views, and bulk actions."""

from __future__ import annotations

import time

import pytest
from django.contrib.auth.models import User
from django.test import Client

from dashboard.actions.labels import read_tags, set_tags
from dashboard.errors import OperationError
from dashboard.models import Batch, BatchTag, Item, SavedView
from tests.support.builders import make_batch, make_person, make_viewer

pytestmark = pytest.mark.django_db(transaction=True)


def listed(client: Client, **filters: str) -> list[str]:
    """Return the labels shown, in order."""
    page = client.get("/batches/", filters).context["page"]
    return [row.batch.label for row in page.rows]


def posted(client: Client, path: str, **given: object) -> str:
    """Post a form and return what the page after it says."""
    return client.post(path, given, follow=True).content.decode()


def test_tags_and_note_are_stored_shown_and_found(logged_in: Client, operator: User) -> None:
    batch, other = make_batch(operator, label="Alpha"), make_batch(operator, label="Beta")
    given = {"tags": " night  run, invoices,, night run ", "note": "Ask Ann first.\r\n<b>Really.</b>"}
    text = posted(logged_in, f"/batches/{batch.pk}/labels/", **given)
    assert "Ask Ann first.\n&lt;b&gt;Really.&lt;/b&gt;" in text
    assert list(batch.tags.values_list("name", flat=True)) == ["invoices", "night run"]
    assert listed(logged_in, tag="invoices") == ["Alpha"]
    assert listed(logged_in, q="night") == ["Alpha"]
    assert listed(logged_in, q="really") == ["Alpha"]
    posted(logged_in, f"/batches/{batch.pk}/labels/", tags="", note="")
    assert not BatchTag.objects.exists()
    assert set(batch.audit.values_list("action", flat=True)) == {"launch", "tag", "note"}
    assert set(other.audit.values_list("action", flat=True)) == {"launch"}


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"tags": "x" * 41}, "A tag may have at most 40 characters"),
        ({"tags": ",".join(f"t{number}" for number in range(51))}, "A batch may have at most 50 tags"),
        ({"note": "x" * 10_001}, "A note may have at most 10,000 characters"),
    ],
)
def test_tags_and_notes_that_are_too_long_are_refused(
    logged_in: Client, operator: User, given: dict[str, str], problem: str
) -> None:
    batch = make_batch(operator)
    assert problem in posted(logged_in, f"/batches/{batch.pk}/labels/", **given)
    batch.refresh_from_db()
    assert (batch.note, batch.tags.count()) == ("", 0)


def test_a_viewer_labels_nothing(visitor: Client, operator: User) -> None:
    batch = make_batch(operator)
    visitor.force_login(make_viewer())
    assert visitor.post(f"/batches/{batch.pk}/labels/", {"tags": "a"}).status_code == 403
    assert visitor.post("/batches/bulk/", {"action": "tag", "tags": "a", "batches": batch.pk}).status_code == 403
    assert "Tags, note, notifications" not in visitor.get(f"/batches/{batch.pk}/").content.decode()


def test_a_deep_search_finds_text_in_keys_and_errors(logged_in: Client, operator: User) -> None:
    batch = make_batch(operator, label="Alpha")
    make_batch(operator, label="Beta")
    Item.objects.filter(batch=batch, index=1).update(key="Invoice-77", error_message="no route to printer")
    assert listed(logged_in, q="invoice-77") == []
    assert listed(logged_in, q="invoice-77", deep="true") == ["Alpha"]
    assert listed(logged_in, q="PRINTER", deep="true") == ["Alpha"]


def test_the_list_is_sorted_and_filtered_by_time(logged_in: Client, operator: User) -> None:
    old, new = make_batch(operator, label="Old"), make_batch(operator, label="New")
    Batch.objects.filter(pk=old.pk).update(created_at="2020-01-01T00:00:00Z", children_failed=3)
    assert listed(logged_in, sort="created_at") == ["Old", "New"]
    assert listed(logged_in, sort="-children_failed") == ["Old", "New"]
    assert listed(logged_in, sort="-created_at") == ["New", "Old"]
    assert listed(logged_in, time="day") == ["New"]
    assert new.label == "New"


def test_a_view_is_saved_shared_and_removed(logged_in: Client, visitor: Client, operator: User) -> None:
    make_batch(operator, label="Alpha")
    query = "status=failed&page=7&sort=created_at&nonsense=1"
    posted(logged_in, "/views/", name="Night shift", query=query, is_shared="on")
    posted(logged_in, "/views/", name="Mine", query="status=running")
    shared, mine = SavedView.objects.order_by("-is_shared")
    assert shared.query == "sort=created_at&status=failed"
    assert [view.name for view in logged_in.get("/batches/").context["page"].views] == ["Mine", "Night shift"]
    posted(logged_in, "/views/", name="Mine", query="status=failed")
    mine.refresh_from_db()
    assert mine.query == "status=failed"
    other = Client()
    other.force_login(make_person("jon"))
    assert [view.name for view in other.get("/batches/").context["page"].views] == ["Night shift"]
    assert other.post(f"/views/{shared.pk}/delete/").status_code == 404
    posted(logged_in, f"/views/{shared.pk}/delete/")
    assert list(SavedView.objects.all()) == [mine]
    assert "Enter a name for the view." in posted(logged_in, "/views/", name=" ", query="")


def test_a_bulk_action_tags_the_selected_batches_only(logged_in: Client, operator: User) -> None:
    one, two, three = (make_batch(operator, label=label) for label in ("Alpha", "Alps", "Beta"))
    text = posted(logged_in, "/batches/bulk/", action="tag", tags="mountains", batches=[one.pk, two.pk])
    assert "Tagged 2 batches." in text
    assert set(BatchTag.objects.values_list("batch", flat=True)) == {one.pk, two.pk}
    text = posted(logged_in, "/batches/bulk/", action="tag", tags="all", all="on", query="q=al")
    assert "Tagged 2 batches." in text
    assert three.tags.count() == 0
    assert "Nothing is selected." in posted(logged_in, "/batches/bulk/", action="tag", tags="x")
    assert "Unknown action." in posted(logged_in, "/batches/bulk/", action="burn", batches=[one.pk])


def test_a_bulk_action_shows_why_batches_are_refused(logged_in: Client, operator: User) -> None:
    batch = make_batch(operator, label="Alpha")
    text = posted(logged_in, "/batches/bulk/", action="retry", batches=[batch.pk])
    assert "It has not started yet." in text
    text = posted(logged_in, "/batches/bulk/", action="retry", batches=[batch.pk], confirmed="yes")
    assert "Alpha: Retry is not possible: the batch has not started yet." in text


def test_a_million_tags_are_refused_at_once(logged_in: Client, operator: User) -> None:
    batch = make_batch(operator)
    typed = ",".join(f"t{number}" for number in range(1_000_000))
    began = time.process_time()
    with pytest.raises(OperationError, match="at most 50 tags"):
        set_tags(operator, batch, read_tags(typed))
    with pytest.raises(OperationError, match="at most 50 tags"):
        set_tags(operator, batch, typed.split(","))
    assert time.process_time() - began < 5
