"""Every page names itself, and has one main landmark and headings in order; pages of errors lead home."""

from __future__ import annotations

import pytest
from django.template import loader
from django.test import Client

from tests.support.builders import make_viewer
from tests.support.page_outline import PageOutline
from tests.test_layout import ROOT

ALONE = ("400", "403_csrf", "500", "503")
"""Templates of errors that do not need what every page has, which may be what failed."""


@pytest.mark.parametrize("name", ALONE)
def test_pages_of_errors_name_themselves_and_lead_home(name: str) -> None:
    context = {"reason": "It was too much.", "again": "/batches/?q=x" if name == "503" else ""}
    page = PageOutline(loader.render_to_string(f"{name}.html", context))
    assert page.problems == []
    assert "/" in page.links
    assert ("/batches/?q=x" in page.links) == (name == "503")


@pytest.mark.django_db
def test_pages_that_are_not_there_or_not_allowed_name_themselves_and_lead_home(visitor: Client) -> None:
    visitor.force_login(make_viewer())
    for answer, status in ((visitor.get("/nothing/"), 404), (visitor.post("/demo/"), 403)):
        assert answer.status_code == status
        page = PageOutline(answer.content.decode())
        assert page.problems == []
        assert page.landmarks["nav"] == 1
        main = answer.content.decode().split("<main", 1)[1]
        assert '<a class="button primary" href="/">' in main


def test_every_template_of_an_error_is_known() -> None:
    assert {path.stem for path in (ROOT / "templates").glob("[45]*.html")} == {*ALONE, "403", "404"}
