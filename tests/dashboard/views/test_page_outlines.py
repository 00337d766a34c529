"""Every page names itself, and has one main landmark and headings in order; pages of errors lead home."""

from __future__ import annotations

import pytest
from django.template import loader
from django.test import RequestFactory

from tests.support.page_outline import PageOutline
from tests.test_layout import ROOT

ERRORS = ("400", "403", "403_csrf", "404", "500", "503")


@pytest.mark.parametrize("name", ERRORS)
def test_pages_of_errors_name_themselves_and_lead_home(rf: RequestFactory, name: str) -> None:
    context = {"reason": "It was too much.", "again": "/batches/?q=x" if name == "503" else ""}
    page = PageOutline(loader.render_to_string(f"{name}.html", context, request=None))
    assert page.problems == []
    assert "/" in page.links
    assert ("/batches/?q=x" in page.links) == (name == "503")


def test_every_template_of_an_error_is_known() -> None:
    assert {path.stem for path in (ROOT / "templates").glob("[45]*.html")} == set(ERRORS)
