"""The launch form while Temporal is unreachable: errors by field, stored uploads, idempotency."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pydantic import BaseModel
from pytest_django import Settings

from dashboard.models import AuditEntry, Batch, Item, Node, Upload
from orchestration.processors import registry
from orchestration.processors.registry import processor
from orchestration.processors.uploads import Upload as Given
from tests.support import builders
from tests.support.forms import launch_form

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("temporal_away")]


def test_a_launch_writes_batch_nodes_items_and_audit_and_keeps_it_pending(browser: Client) -> None:
    answer = browser.post("/launch/simulate/", launch_form(**{"plan-chunk_size": 2, "label": "night run"}))
    batch = Batch.objects.get()
    assert answer.headers["Location"] == f"/batches/{batch.pk}/"
    assert (batch.status, batch.label, batch.item_count, batch.child_count) == ("pending", "night run", 3, 2)
    assert "Can't reach Temporal" in batch.start_error
    assert list(Node.objects.order_by("pk").values_list("kind", "length")) == [("root", 3), ("child", 2), ("child", 1)]
    assert list(Item.objects.order_by("index").values_list("key", "child")) == [("a", 0), ("b", 0), ("c", 1)]
    assert AuditEntry.objects.get().action == "launch"


class Dictionary(BaseModel):
    words: Given
    more: Given | None = None


@pytest.fixture
def translate() -> Iterator[None]:
    """A processor with a file among its parameters."""

    @processor(name="translate")
    async def translate(word: str, dictionary: Dictionary) -> str:
        return dictionary.words.read_text()

    yield
    registry._processors.pop("translate")


def test_a_file_parameter_is_kept_while_the_form_is_fixed_and_is_launched_with(
    browser: Client, translate: None
) -> None:
    given = launch_form(**{"plan-window": "0"})
    assert "Choose a file." in browser.post("/launch/translate/", given).content.decode()
    chosen = {"parameters-words-file": SimpleUploadedFile("words.txt", b"leaf=Blatt")}
    preview = browser.post("/launch/translate/preview/", given | chosen, headers={"HX-Request": "true"})
    kept = re.search(r'name="parameters-words" value="([^"]+)"', preview.content.decode())
    assert kept is not None
    answer = browser.post("/launch/translate/", given | {"parameters-words": kept[1]})
    assert answer.status_code == 422
    assert "words.txt" in answer.content.decode()
    answer = browser.post("/launch/translate/", launch_form(**{"parameters-words": kept[1]}))
    batch = Batch.objects.get()
    assert answer.status_code == 302
    assert batch.parameters == {"words": {"upload": kept[1], "name": "words.txt", "size": 10}, "more": None}
    again = browser.get(f"/launch/translate/?like={batch.pk}").content.decode()
    assert f'value="{kept[1]}"' in again
    gone = browser.post("/launch/translate/", launch_form(**{"parameters-words": "no-such-upload"}))
    assert "The uploaded file no longer exists. Choose it again." in gone.content.decode()


def test_a_too_large_file_is_rejected_at_its_field_and_not_stored(
    browser: Client, translate: None, settings: Settings
) -> None:
    settings.CANOPY_MAX_UPLOAD_BYTES = 1024 * 1024
    chosen = {"parameters-words-file": SimpleUploadedFile("words.txt", b"x" * (1024 * 1024 + 1))}
    answer = browser.post("/launch/translate/", launch_form() | chosen)
    assert "The file is too large: the limit is 1 MB." in answer.content.decode()
    assert not Upload.objects.filter(name="words.txt").exists()
    sent = browser.post("/api/v1/uploads", {"file": SimpleUploadedFile("words.txt", b"x" * 2 * 1024 * 1024)})
    assert (sent.status_code, sent.json()["errors"]) == (
        422,
        {"file": ["The file has 2 MB; the limit is 1 MB."]},
    )


def test_a_double_click_or_a_resend_launches_once(browser: Client) -> None:
    first, second = (browser.post("/launch/simulate/", launch_form()) for _ in range(2))
    assert first.headers["Location"] == second.headers["Location"]
    assert Batch.objects.count() == 1


def test_the_back_button_with_other_items_is_another_launch(browser: Client) -> None:
    browser.post("/launch/simulate/", launch_form())
    browser.post("/launch/simulate/", launch_form(text="d"))
    assert Batch.objects.count() == 2


def test_bad_rows_are_listed_and_nothing_starts_until_someone_chooses(browser: Client) -> None:
    text = "id,name\n1,a\n2\n3,<script>x</script>\n"
    answer = browser.post("/launch/simulate/", launch_form(format="csv", text=text))
    page = answer.content.decode()
    assert answer.status_code == 422
    assert Batch.objects.count() == 0
    assert "1 invalid row" in page
    assert "Line 3" in page
    assert "2\n3,&lt;script&gt;" in page, "what was typed is still in the form"
    assert "<script>x" not in page
    browser.post("/launch/simulate/", launch_form(format="csv", text=text, leave_out="on"))
    batch = Batch.objects.get()
    assert (batch.item_count, batch.source["left_out"]) == (2, 1)


def test_an_upload_survives_an_error_elsewhere(browser: Client) -> None:
    file = SimpleUploadedFile("items.csv", b"id\n1\n2\n")
    answer = browser.post("/launch/simulate/", launch_form(format="csv", text="", file=file, **{"plan-window": 0}))
    assert answer.status_code == 422
    page = answer.content.decode()
    assert "items.csv" in page
    match = re.search(r'name="upload" value="([^"]+)"', page)
    assert match is not None
    browser.post("/launch/simulate/", launch_form(format="csv", text="", upload=match[1]))
    assert Batch.objects.get().item_count == 2


def test_pasted_items_that_are_too_large_to_show_are_launched_again(browser: Client) -> None:
    browser.post("/launch/simulate/", launch_form(text="\n".join(f"item-{number:0180}" for number in range(1_200))))
    page = browser.get(f"/launch/simulate/?like={Batch.objects.get().pk}").content.decode()
    match = re.search(r'name="upload" value="([^"]+)"', page)
    assert match is not None
    browser.post("/launch/simulate/", launch_form(text="", upload=match[1], idempotency_key="again"))
    assert list(Batch.objects.values_list("item_count", flat=True)) == [1_200, 1_200]


def test_an_upload_wins_over_the_example_unless_the_text_is_chosen(browser: Client) -> None:
    file = SimpleUploadedFile("items.csv", b"id\n1\n2\n3\n")
    given = launch_form(format="csv", text="id\nexample\n", use_text="on")
    page = browser.post("/launch/simulate/preview/", given | {"file": file}).content.decode()
    match = re.search(r'name="upload" value="([^"]+)"', page)
    assert match is not None
    assert "Use the pasted items instead" in page
    assert "checked" not in page.partition('name="use_text"')[2].partition(">")[0]
    given |= {"upload": match[1]}
    browser.post("/launch/simulate/", given)
    assert Batch.objects.get().item_count == 1
    browser.post("/launch/simulate/", given | {"use_text": "", "idempotency_key": "other"})
    assert sorted(Batch.objects.values_list("item_count", flat=True)) == [1, 3]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"plan-window": 0}, "Enter 1 or more."),
        ({"plan-chunk_size": "many"}, "Enter a whole number"),
        ({"plan-failure_policy": "tolerate"}, "Tolerate requires either"),
        ({"plan-tolerated_percent": 130, "plan-failure_policy": "tolerate"}, "Enter 100 or less."),
        ({"parameters-seconds_from": 5}, "must not exceed max duration"),
        ({"parameters-seed": ""}, "This field is required"),
        ({"text": ""}, "Paste items or choose a file"),
        ({"format": "count", "count": 0}, "between 1 and 1,000,000"),
        ({"format": "count", "count": 10_000_000}, "between 1 and 1,000,000"),
        ({"format": "count"}, "Enter the number of items."),
        ({"text": "", "file": SimpleUploadedFile("x", b"")}, "The file is empty"),
        ({"text": "", "file": SimpleUploadedFile("x.png", b"\x89PNG\x00\x01")}, "binary file"),
        ({"text": "", "upload": "gone"}, "no longer exists"),
        ({"format": "csv", "text": "a,a\n1,2"}, "twice"),
    ],
)
def test_errors_are_shown_at_their_fields(browser: Client, wrong: dict[str, Any], message: str) -> None:
    answer = browser.post("/launch/simulate/", launch_form(**wrong))
    assert answer.status_code == 422
    assert message in answer.content.decode()
    assert Batch.objects.count() == 0


def test_a_too_large_file_is_rejected_before_it_is_read(browser: Client, settings: Settings) -> None:
    settings.CANOPY_MAX_UPLOAD_BYTES = 1024 * 1024
    file = SimpleUploadedFile("large.csv", b"x" * (2 * 1024 * 1024))
    answer = browser.post("/launch/simulate/", launch_form(text="", file=file))
    assert "The file has 2 MB; the limit is 1 MB." in answer.content.decode()
    assert Upload.objects.count() == 0


def test_text_that_is_too_large_is_a_sentence_at_its_field_and_the_rest_stays(
    browser: Client, settings: Settings
) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
    given = launch_form(text="x" * (2 * 1024 * 1024 + 1), label="kept label", **{"plan-window": 7})
    for address in ("/launch/simulate/", "/launch/simulate/preview/", "/launch/simulate/schedule/"):
        page = browser.post(address, given).content.decode()
        assert "The text is too large: at most 2 MB are allowed." in page
        assert "Paste items or choose a file" not in page
        assert ("kept label" in page and 'value="7"' in page) == ("preview" not in address)
    answer = browser.post("/definitions/new/", {"name": "kept name", "text": "x" * (3 * 1024 * 1024)})
    assert "kept name" in answer.content.decode()
    assert Batch.objects.count() == 0


def test_a_large_file_and_the_fields_beside_it_are_read_as_always(browser: Client, settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
    file = SimpleUploadedFile("large.csv", b"id\n" + b"1234567\n" * 150_000)
    given = launch_form(format="csv", text="", file=file, **{"plan-chunk_size": 1_000})
    page = browser.post("/launch/simulate/preview/", given).content.decode()
    assert "<dd>150,000</dd>" in page
    assert "<dd>150</dd>" in page


def test_more_fields_than_are_read_are_a_sentence(browser: Client, settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 10
    answer = browser.post("/launch/simulate/", launch_form())
    assert answer.status_code == 413
    assert "at most 10 are allowed" in answer.content.decode()


def test_the_preview_shows_what_the_form_would_make(browser: Client) -> None:
    answer = browser.post("/launch/simulate/preview/", launch_form(format="count", count=3_000))
    page = answer.content.decode()
    assert "<dd>3,000</dd>" in page
    assert "<dd>6</dd>" in page, "partitions"
    assert "is much faster" in page
    assert Batch.objects.count() == 0


def test_launch_again_fills_the_form_and_changes_nothing(browser: Client) -> None:
    browser.post("/launch/simulate/", launch_form(label="first", **{"plan-window": 7, "parameters-seed": 99}))
    batch = Batch.objects.get()
    page = browser.get(f"/launch/simulate/?like={batch.pk}").content.decode()
    for part in ('value="7"', 'value="99"', 'value="first"', "a\nb\nc"):
        assert part in page
    assert Batch.objects.count() == 1


def test_how_a_file_is_read_is_chosen_shown_and_copied(browser: Client) -> None:
    chosen = {"format": "csv", "header": "none", "delimiter": ";", "text": "", "label": "chosen"}
    file = SimpleUploadedFile("latin.csv", "a,b;grün\n".encode("cp1252"))
    given = launch_form(**chosen, file=file)
    preview = browser.post("/launch/simulate/preview/", given).content.decode()
    assert "Encoding: Windows-1252 · Delimiter: Semicolon" in preview
    assert "It was read as Windows-1252" in preview
    file.seek(0)
    browser.post("/launch/simulate/", given)
    batch = Batch.objects.get()
    assert Item.objects.get().data == {"column_1": "a,b", "column_2": "grün"}
    assert batch.source["dialect"] == {"delimiter": ";", "has_header": False}
    again = browser.get(f"/launch/simulate/?like={batch.pk}").content.decode()
    assert '<option value=";" selected>' in again
    assert '<option value="none" selected>None</option>' in again


def test_an_unknown_processor_is_not_found(browser: Client) -> None:
    assert browser.get("/launch/nope/").status_code == 404
    assert browser.post("/launch/nope/", launch_form()).status_code == 404


def test_a_viewer_sees_the_form_and_can_launch_nothing(client: Client) -> None:
    client.force_login(builders.make_viewer())
    page = client.get("/launch/simulate/").content.decode()
    assert "<fieldset disabled" in page
    assert client.post("/launch/simulate/", launch_form()).status_code == 403
    assert client.post("/launch/simulate/preview/", launch_form()).status_code == 403
    assert Batch.objects.count() == 0


def test_a_login_is_required(client: Client) -> None:
    answer = client.post("/launch/simulate/", launch_form())
    assert answer.headers["Location"].startswith("/login/")


def test_a_viewer_stores_nothing(client: Client, db: None) -> None:
    client.force_login(User.objects.create_user("vera"))
    file = SimpleUploadedFile("items.csv", b"key\na\n")
    assert client.post("/launch/simulate/", launch_form(file=file)).status_code == 403
    assert not Upload.objects.exists()
