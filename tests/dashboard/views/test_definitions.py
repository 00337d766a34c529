"""The pages of definitions: errors beside the text, versions, diffs, read-only for viewers."""

from __future__ import annotations

import html
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from dashboard.definitions import saving
from dashboard.definitions.examples import EXAMPLES
from dashboard.models import DefinitionVersion, SavedDefinition, VersionIsImmutable
from dashboard.pages.outline import OutlineRow, outline_rows
from orchestration.definitions.models import DEFINITION_TYPES
from tests.support import builders
from tests.support.builders import MakeBatch

pytestmark = pytest.mark.django_db

GOOD = "kind: pool\nworkers: 2\nprocessor: simulate\n"
BETTER = "kind: pool\nworkers: 3\nprocessor: simulate\n"
WRONG = "kind: pool\nworkers: 0\nprocessor: simulat\n# <script>\n"
NEW = "/definitions/new/"


def page_of(client: Client, path: str) -> str:
    """Return a page as text."""
    answer = client.get(path)
    assert answer.status_code == 200, path
    return html.unescape(answer.content.decode())


@pytest.fixture
def saved(operator: User) -> SavedDefinition:
    """A definition with one version."""
    return saving.create(operator, "Nightly", GOOD, "first").definition


def test_every_kind_has_a_valid_example(logged_in: Client) -> None:
    assert set(EXAMPLES) == set(DEFINITION_TYPES)
    new = page_of(logged_in, NEW)
    for kind, example in EXAMPLES.items():
        checked = saving.check(example.text)
        assert checked.errors == ()
        assert checked.definition is not None
        assert checked.definition.kind == kind
        assert str(example.when) in new
        page = page_of(logged_in, f"{NEW}?example={kind}")
        assert example.text in page
        assert '<ul class="outline">' in page


def test_a_new_definition_is_saved_as_version_1_and_nothing_starts(logged_in: Client, operator: User) -> None:
    answer = logged_in.post(
        NEW, {"name": " Nightly ", "text": GOOD.replace("\n", "\r\n"), "note": "first"}, follow=True
    )
    version = DefinitionVersion.objects.get()
    assert answer.redirect_chain == [(f"/definitions/{version.definition_id}/versions/1/", 302)]
    assert (version.definition.name, version.number, version.kind, version.text) == ("Nightly", 1, "pool", GOOD)
    assert (version.note, version.author) == ("first", operator)
    page = answer.content.decode()
    for part in ("Saved Nightly as version 1. Nothing has been launched.", "2 long-lived workers", "workers: 2"):
        assert part in page
    assert "Launch this version" in page
    assert "Changes since" not in page


def test_errors_are_shown_beside_the_text_which_is_kept(logged_in: Client) -> None:
    answer = logged_in.post(NEW, {"name": "", "text": WRONG, "note": "kept"})
    assert answer.status_code == 422
    raw, page = answer.content.decode(), html.unescape(answer.content.decode())
    assert WRONG in page
    assert "<script>\n" not in raw
    assert 'data-line="2" data-column="1"' in page
    assert "Input should be greater than or equal to 1." in page
    assert 'There is no processor "simulat". Did you mean "simulate"?' in page
    assert "This field is required" in page
    assert 'value="kept"' in page
    assert not SavedDefinition.objects.exists()


def test_a_file_is_taken_instead_of_the_text(logged_in: Client) -> None:
    file = SimpleUploadedFile("pool.yaml", b"\xef\xbb\xbf" + GOOD.encode())
    logged_in.post(NEW, {"name": "From a file", "text": "", "file": file})
    assert DefinitionVersion.objects.get().text == GOOD
    wrong = logged_in.post(NEW, {"name": "Other", "text": "", "file": SimpleUploadedFile("x", WRONG.encode())})
    assert WRONG in html.unescape(wrong.content.decode()), "the file's text is in the editor"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe\x00", "The file is not UTF-8 text."),
        (b"x" * (1024**2 + 1), "The file is too large: the limit is 1 MB."),
        (b"", "The definition is empty."),
    ],
)
def test_a_file_that_is_not_text_is_rejected(logged_in: Client, content: bytes, message: str) -> None:
    answer = logged_in.post(NEW, {"name": "x", "text": "", "file": SimpleUploadedFile("x.yaml", content)})
    assert (answer.status_code, message in answer.content.decode()) == (422, True)
    assert not SavedDefinition.objects.exists()


def test_a_name_is_unique(logged_in: Client, saved: SavedDefinition) -> None:
    answer = logged_in.post(NEW, {"name": "Nightly", "text": BETTER})
    assert answer.status_code == 422
    page = html.unescape(answer.content.decode())
    assert 'A definition named "Nightly" already exists.' in page
    assert BETTER in page
    assert DefinitionVersion.objects.count() == 1


def test_another_version_shows_its_diff(logged_in: Client, saved: SavedDefinition) -> None:
    edit = f"/definitions/{saved.pk}/edit/"
    assert GOOD in page_of(logged_in, edit)
    logged_in.post(edit, {"text": BETTER, "note": "one more", "base": 1})
    page = page_of(logged_in, f"/definitions/{saved.pk}/")
    for part in ("<del>workers: 2</del>", "<ins>workers: 3</ins>", "version 2", "one more", "3 long-lived workers"):
        assert part in page
    older = page_of(logged_in, f"/definitions/{saved.pk}/versions/1/")
    assert "The latest is version 2." in older
    assert "2 long-lived workers" in older
    assert GOOD in page_of(logged_in, f"{edit}?version=1")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"text": GOOD, "base": 1}, "version 1 has the same text"),
        ({"text": BETTER, "base": 0}, "olga saved version 1 in the meantime."),
        ({"text": WRONG, "base": 1}, 'There is no processor "simulat".'),
        ({"text": BETTER, "base": 1, "note": "x" * 201}, "at most 200 characters"),
    ],
)
def test_a_version_that_cannot_be_saved_says_why(
    logged_in: Client, saved: SavedDefinition, given: dict[str, Any], message: str
) -> None:
    answer = logged_in.post(f"/definitions/{saved.pk}/edit/", given)
    page = html.unescape(answer.content.decode())
    assert (answer.status_code, message in page) == (422, True)
    assert given["text"] in page
    assert 'name="base" value="1"' in page, "to save again is to put it on top"
    saved.refresh_from_db()
    assert saved.newest == saved.versions.count() == 1


def test_a_version_is_never_changed(saved: SavedDefinition) -> None:
    version = saved.versions.get()
    version.text = BETTER
    with pytest.raises(VersionIsImmutable):
        version.save()
    with pytest.raises(VersionIsImmutable):
        version.delete()
    assert saved.versions.get().text == GOOD


def test_a_version_without_its_processor_shows_an_error_and_cannot_be_launched(
    logged_in: Client, saved: SavedDefinition
) -> None:
    saved.versions.update(text=GOOD.replace("simulate", "gone"))
    page = page_of(logged_in, f"/definitions/{saved.pk}/")
    assert "can no longer be launched" in page
    assert 'Line 3: There is no processor "gone".' in page
    assert "Launch this version" not in page


def test_a_version_lists_the_batches_that_were_launched_with_it(
    logged_in: Client, saved: SavedDefinition, make_batch: MakeBatch
) -> None:
    batch, other = make_batch(1), make_batch(1)
    batch.definition = saved.versions.get()
    batch.save()
    page = page_of(logged_in, f"/definitions/{saved.pk}/")
    assert f"/batches/{batch.pk}/" in page
    assert f"/batches/{other.pk}/" not in page


def test_the_preview_shows_the_outline_or_the_errors(logged_in: Client) -> None:
    good = logged_in.post("/definitions/preview/", {"text": EXAMPLES["steps"].text}).content.decode()
    assert good.count("<li") == good.count("</li>")
    assert good.count("<ul") == good.count("</ul>")
    assert "until measure.attempt &gt;= 1, at most 5 rounds" in good
    assert "<html" not in good
    bad = logged_in.post("/definitions/preview/", {"text": WRONG})
    assert bad.status_code == 200
    assert 'data-line="3"' in bad.content.decode()
    assert "as you type" in logged_in.post("/definitions/preview/", {"text": " "}).content.decode()


def test_without_scripts_a_text_can_be_checked_before_it_is_saved(logged_in: Client) -> None:
    answer = logged_in.post(NEW, {"name": "Later", "text": GOOD, "check": "1"})
    assert answer.status_code == 200
    assert "2 long-lived workers" in answer.content.decode()
    assert not SavedDefinition.objects.exists()


def test_an_outline_closes_every_list_that_it_opens() -> None:
    outline = saving.check(EXAMPLES["steps"].text).outline
    assert outline is not None
    rows: list[OutlineRow] = outline_rows(outline)
    assert sum(len(row.closes) for row in rows) == sum(bool(row.node.children) for row in rows) > 5
    assert all(row.icon for row in rows)


def test_the_list_shows_newest_versions_and_can_be_filtered(logged_in: Client, operator: User) -> None:
    assert "No definitions yet" in page_of(logged_in, "/definitions/")
    for name in ("Nightly", "Restock"):
        saved = saving.create(operator, name, GOOD).definition
    saving.add_version(operator, saved, BETTER)
    everything = page_of(logged_in, "/definitions/")
    assert everything.index("Nightly") < everything.index("Restock")
    assert '<td class="number">2</td>' in everything
    narrowed = page_of(logged_in, "/definitions/?q=stock")
    assert "Restock" in narrowed
    assert "Nightly" not in narrowed
    assert "No definition matches this name" in page_of(logged_in, "/definitions/?q=nope")
    assert logged_in.get("/definitions/?q=%00nope").status_code == 400


def test_a_viewer_sees_everything_and_saves_nothing(client: Client, saved: SavedDefinition) -> None:
    client.force_login(builders.make_viewer())
    for path in ("/definitions/", f"/definitions/{saved.pk}/"):
        page = page_of(client, path)
        main = page[page.index("<main") : page.index("</main>")]
        assert 'method="post"' not in main
        assert "Launch this version" not in main
        assert "/new/" not in main
    for path in (NEW, f"/definitions/{saved.pk}/edit/"):
        assert '<fieldset class="editing" disabled' in page_of(client, path)
        assert client.post(path, {"name": "Mine", "text": BETTER, "base": 1}).status_code == 403
    assert DefinitionVersion.objects.count() == 1


def test_a_login_is_required_and_unknown_pages_are_not_found(client: Client, operator: User) -> None:
    for path in ("/definitions/", NEW):
        assert client.get(path).headers["Location"].startswith("/login/")
    client.force_login(operator)
    huge = 10**30
    for path in ("/definitions/1/", "/definitions/1/edit/", "/definitions/1/versions/1/", f"/definitions/{huge}/"):
        assert client.get(path).status_code == 404, path
    assert client.get("/definitions/preview/").status_code == 405
    assert client.post("/definitions/").status_code == 405


def test_lists_do_not_read_the_texts(
    logged_in: Client, saved: SavedDefinition, operator: User, django_assert_max_num_queries: Any
) -> None:
    batch = builders.make_batch(operator, 1, processor="pool", definition=saved.versions.get().pk)
    for path in ("/definitions/", "/launch/", "/batches/", f"/batches/{batch.pk}/", "/api/v1/definitions", "/"):
        with django_assert_max_num_queries(200) as asked:
            assert logged_in.get(path).status_code == 200
        assert not [each["sql"] for each in asked if '"dashboard_definitionversion"."text"' in each["sql"]], path
