"""Downloads that are launched again, and those for spreadsheets, while Temporal is unreachable."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from dashboard.models import Batch, Item
from tests.support.forms import launch_form
from tests.support.streaming import streamed_content

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("temporal_away")]

GIVEN: list[dict[str, Any]] = [
    {"key": "+49 170 1", "v": "@x"},
    {"key": "-foo", "v": "=a"},
    {"key": "x", "v": "-1e5"},
    {"key": "n", "v": None},
    {"key": "l", "v": [1, 2], "why_rejected": "of the item itself"},
]


def items_of(batch: Batch) -> list[tuple[str, Any]]:
    return list(batch.items.order_by("index").values_list("key", "data"))


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_rejected_rows_are_launched_again_as_they_were_any_number_of_times(browser: Client, kind: str) -> None:
    given = {"processor": "simulate", "key": "key", "items": GIVEN}
    assert browser.post("/api/v1/batches", json.dumps(given), "application/json").status_code == 201
    batch = Batch.objects.get()
    first = items_of(batch)
    assert [data for _, data in first] == GIVEN
    for number in range(3):
        Item.objects.filter(batch=batch).update(status="failed", error_message="=1+1")
        for address in (f"rejected.{kind}", f"items.{kind}?for=launch&status=failed"):
            text = streamed_content(browser.get(f"/batches/{batch.pk}/{address}")).decode()
        form = launch_form(format=kind, text=text, idempotency_key=f"round {number}")
        assert browser.post("/launch/simulate/", form).status_code == 302
        batch = Batch.objects.latest("created_at")
        assert items_of(batch) == first


def test_downloads_for_spreadsheets_have_a_mark_and_no_formula(browser: Client) -> None:
    given = {"processor": "simulate", "key": "key", "items": GIVEN}
    browser.post("/api/v1/batches", json.dumps(given), "application/json")
    batch = Batch.objects.get()
    Item.objects.filter(batch=batch).update(status="failed", error_message="=1+1")
    for address in ("rejected.csv", "items.csv"):
        content = streamed_content(browser.get(f"/batches/{batch.pk}/{address}?for=spreadsheet"))
        assert content.startswith(b"\xef\xbb\xbf")
        assert "'=a" in content.decode()
        assert "'=1+1" in content.decode()
    assert not streamed_content(browser.get(f"/batches/{batch.pk}/items.csv")).startswith(b"\xef\xbb\xbf")
