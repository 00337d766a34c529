"""The command palette: batches by label or id, pages and actions, within what a person may do."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from dashboard.pages.palette import SHOWN, palette
from orchestration.processors import catalogue
from tests.support.builders import make_batch, make_viewer

pytestmark = pytest.mark.django_db


def titles(person: User, text: str) -> dict[str, list[str]]:
    return {group.title: [str(entry.title) for entry in group.entries] for group in palette(person, text)}


def test_a_text_finds_batches_pages_and_actions(operator: User) -> None:
    catalogue.load()
    alpha = make_batch(operator, 1, label="Alpha launch")
    make_batch(operator, 1, label="Beta")
    assert titles(operator, "ALPHA") == {"Batches": ["Alpha launch"]}
    assert titles(operator, f" {alpha.pk[:8]} ") == {"Batches": ["Alpha launch"]}
    assert titles(operator, "dark") == {"Actions": ["Theme: dark"]}
    assert titles(operator, "queue") == {"Pages": ["Queues"]}
    found = titles(operator, "launch http")
    assert list(found) == ["Actions"]
    assert any(title.startswith("Launch ") for title in found["Actions"])
    assert titles(operator, "no such thing") == {}


def test_it_offers_nothing_that_a_viewer_may_not_do(visitor: Client) -> None:
    catalogue.load()
    viewer = make_viewer()
    assert "Actions" not in titles(viewer, "launch simul")
    assert titles(viewer, "new") == {}
    visitor.force_login(viewer)
    text = visitor.get("/palette/?q=log").content.decode()
    assert 'role="option"' in text
    assert "Log out" in text


def test_it_is_bounded(logged_in: Client, operator: User) -> None:
    for _ in range(SHOWN + 3):
        make_batch(operator, 1, label="Many")
    assert [len(group.entries) for group in palette(operator, "many")] == [SHOWN]
    assert logged_in.get("/palette/", {"q": "x" * 100_000}).status_code in (200, 414)
    assert logged_in.post("/palette/").status_code == 405
