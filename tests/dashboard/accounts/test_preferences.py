"""How the pages look: chosen once, kept in a cookie, and right at the first paint."""

from __future__ import annotations

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db


def test_what_is_chosen_is_in_every_page_from_then_on(logged_in: Client) -> None:
    assert 'data-theme="" data-density=""' in logged_in.get("/batches/").content.decode()
    answer = logged_in.post("/appearance/", {"theme": "dark", "back": "/queues/"})
    assert (answer.status_code, answer["Location"]) == (302, "/queues/")
    logged_in.post("/appearance/", {"density": "compact"})
    page = logged_in.get("/batches/").content.decode()
    assert 'data-theme="dark" data-density="compact"' in page
    logged_in.post("/appearance/", {"theme": ""})
    assert 'data-theme="" data-density="compact"' in logged_in.get("/batches/").content.decode()


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example", "javascript:alert(1)", ""])
def test_nobody_is_sent_elsewhere(logged_in: Client, back: str) -> None:
    assert logged_in.post("/appearance/", {"theme": "light", "back": back})["Location"] == "/"


def test_nonsense_is_not_kept(logged_in: Client) -> None:
    logged_in.post("/appearance/", {"theme": '"><script>', "density": "huge"})
    logged_in.cookies["canopy-theme"] = '"><script>'
    assert 'data-theme="" data-density=""' in logged_in.get("/batches/").content.decode()
