"""The generated pages of docs/ are as the code is."""

from __future__ import annotations

import re

from dashboard.api.root import api
from dashboard.documentation.pages import DOCS, GENERATED


def test_generated_pages_are_as_the_code_is() -> None:
    stale = [path.name for path, made in GENERATED.items() if path.read_text() != made()]
    assert stale == [], "`manage.py docs` writes them anew."


def test_the_api_reference_has_every_route_and_its_links_lead_somewhere() -> None:
    text = (DOCS / "api-reference.md").read_text()
    paths = api.get_openapi_schema(path_prefix="/api/v1/")["paths"]
    for path, methods in paths.items():
        for method in methods:
            assert f"### `{method.upper()} {path}`\n" in text
    headings = {found.lower() for found in re.findall(r"^### (\w+)$", text, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= headings
