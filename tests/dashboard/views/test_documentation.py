"""The site of docs/: built strictly, without anything from elsewhere or inline, and served at /docs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.test import Client

from dashboard.views import documentation
from tests.test_layout import ROOT

INLINE = re.compile(r"<script>|<style|\sstyle=|\son[a-z]+=\"|href=\"javascript:")
FETCHED = re.compile(r"<(?:script|img|link|iframe|source)\b[^>]*?(?:src|href)=\"(https?:)?//[^\"]*")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site, which fails for a link, an anchor or a page that leads nowhere."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    built = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


@pytest.fixture
def served(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documentation, "SITE", site)


def test_no_page_has_anything_inline_or_from_another_host(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        text = page.read_text()
        assert INLINE.search(text) is None, page
        assert FETCHED.search(text) is None, page
    sheets = "".join(sheet.read_text() for sheet in site.rglob("*.css"))
    assert re.findall(r"url\(['\"]?https?:", sheets) == []


def test_the_search_knows_every_page(site: Path) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text())
    places = {entry["location"] for entry in index["docs"]}
    assert {"install/", "configure/", "runbooks/worker-frozen/", "api-reference/", "changelog/"} <= places


@pytest.mark.django_db
@pytest.mark.usefixtures("served")
def test_pages_are_served_to_who_is_logged_in(logged_in: Client) -> None:
    assert b"Canopy on one page" in logged_in.get("/docs/").content
    assert logged_in.get("/docs/install")["Location"] == "/docs/install/"
    answer = logged_in.get("/docs/runbooks/worker-frozen/")
    assert b"not answering" in answer.content
    assert answer["Content-Type"] == "text/html"
    assert answer["Cache-Control"] == "no-store"
    picture = logged_in.get("/docs/assets/icon.svg")
    assert picture["Content-Type"] == "image/svg+xml"
    assert logged_in.post("/docs/").status_code == 405
    assert Client().get("/docs/")["Location"] == "/login/?next=/docs/"


@pytest.mark.django_db
@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("name", ["nowhere/", "../../../etc/passwd", "..%2f..%2fmkdocs.yml", "/etc/passwd"])
def test_what_is_no_page_is_not_found(logged_in: Client, name: str) -> None:
    assert logged_in.get(f"/docs/{name}").status_code == 404


@pytest.mark.django_db
@pytest.mark.usefixtures("served")
def test_scripts_with_a_hash_in_their_name_are_kept(logged_in: Client, site: Path) -> None:
    script = next((site / "assets" / "javascripts").glob("bundle.*.js"))
    assert "immutable" in logged_in.get(f"/docs/assets/javascripts/{script.name}")["Cache-Control"]


@pytest.mark.django_db
def test_without_a_site_the_page_says_how_to_build_it(
    logged_in: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documentation, "SITE", tmp_path)
    answer = logged_in.get("/docs/install/")
    assert answer.status_code == 404
    assert b"make docs" in answer.content
