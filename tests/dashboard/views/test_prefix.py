"""Below a path prefix every address that pages, answers and scripts name is below it; and no code spells an address."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.template import loader
from django.test import Client
from django.urls import set_script_prefix
from pytest_django import Settings

from dashboard.server.public_url import public_url
from dashboard.urls import urlpatterns
from tests.support.builders import MakeBatch
from tests.support.everything import one_of_everything
from tests.support.page_outline import PageOutline
from tests.support.routes import every_route

ROOT = Path(__file__).resolve().parents[3]
PREFIX = "/canopy"

ATTRIBUTE = re.compile(r"""\s((?!data-key=)[\w-]+)=(?:"(/[^"]*)"|'(/[^']*)')""")
IN_JSON = re.compile(r'"(/[a-z][^"\s]*)"')


@pytest.fixture
def below(settings: Settings) -> Iterator[None]:
    """Have requests be below PREFIX, as CANOPY_URL and `behind_proxy` have them."""
    settings.FORCE_SCRIPT_NAME, settings.STATIC_URL = PREFIX, f"{PREFIX}/static/"
    set_script_prefix(PREFIX)
    yield
    set_script_prefix("/")


def outside(answer: HttpResponse) -> list[str]:
    """Return the addresses on this host that an answer names which are not below the prefix."""
    named = [answer.headers.get(name, "") for name in ("Location", "HX-Redirect", "HX-Push-Url", "HX-Location")]
    if not answer.streaming:
        text = answer.content.decode(errors="replace")
        if answer.headers.get("Content-Type", "").startswith("text/html"):
            named += [html.unescape(found[2] or found[3]) for found in ATTRIBUTE.finditer(text)]
            scripts = re.findall(r"<script[^>]*json[^>]*>(.*?)</script>", text, re.DOTALL)
            named += [found for script in scripts for found in IN_JSON.findall(script)]
        else:
            named += IN_JSON.findall(text)
    return [each for each in named if each.startswith("/") and not f"{each}/".startswith((f"{PREFIX}/", f"{PREFIX}?"))]


@pytest.mark.django_db
@pytest.mark.usefixtures("below", "temporal_away")
def test_every_answer_names_addresses_below_the_prefix(
    operator: User, make_batch: MakeBatch, logged_in: Client
) -> None:
    values, found, pages = one_of_everything(operator, make_batch), dict[str, list[str]](), 0
    for route in every_route(values):
        if "GET" not in route.methods or route.name == "logout":
            continue
        for headers in ({}, {"HX-Request": "true"}):
            answer = logged_in.get(route.path, headers={"Accept": "text/html", **headers})
            assert answer.status_code < 500 or answer.status_code == 503, route
            pages += answer.status_code == 200
            found[route.path] = outside(answer)  # type: ignore[arg-type]  # the test client's answer
    assert {path: named for path, named in found.items() if named} == {}
    assert pages > 60


@pytest.mark.django_db
@pytest.mark.usefixtures("below")
def test_logging_in_and_what_goes_wrong_stay_below_the_prefix(visitor: Client, operator: User) -> None:
    first = visitor.get("/batches/")
    assert first["Location"] == f"{PREFIX}/login/?next={PREFIX}/batches/"
    login = visitor.get("/login/")
    assert outside(login) == []  # type: ignore[arg-type]
    assert f'action="{PREFIX}' not in login.content.decode(), "the form is sent to where the page is"
    visitor.force_login(operator)
    assert outside(visitor.get("/nothing/")) == []  # type: ignore[arg-type]
    assert visitor.get("/batches")["Location"] == f"{PREFIX}/batches/"
    assert visitor.get("/demo/", headers={"Accept": "text/html"})["Location"] == f"{PREFIX}/"
    assert visitor.post("/appearance/", {"theme": "dark"})["Location"] == f"{PREFIX}/"


@pytest.mark.parametrize("name", ["400", "403_csrf", "500", "503"])
@pytest.mark.usefixtures("below")
def test_pages_of_errors_need_no_request_for_their_addresses(name: str) -> None:
    """They are also rendered where nothing else works: before Django has a request, or without static files."""
    text = loader.render_to_string(f"{name}.html")
    named = [found[2] for found in ATTRIBUTE.finditer(text)]
    assert len(named) >= 5
    assert [each for each in named if not each.startswith(f"{PREFIX}/")] == []
    assert f"{PREFIX}/" in PageOutline(text).links


@pytest.mark.usefixtures("below")
def test_the_api_documents_the_paths_that_it_has(logged_in: Client) -> None:
    document = logged_in.get("/api/v1/openapi.json").json()
    assert {path.startswith(f"{PREFIX}/api/v1/") for path in document["paths"]} == {True}
    page = logged_in.get("/api/v1/docs").content.decode()
    given = re.findall(r'id="swagger-settings">(.*?)</script>', page, re.DOTALL)
    assert json.loads(given[0])["url"] == f"{PREFIX}/api/v1/openapi.json"


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.django_db
def test_links_elsewhere_are_whole_wherever_they_are_made(settings: Settings, known: bool) -> None:
    """A notification is written in a request or in an activity, whose threads know no prefix."""
    settings.CANOPY_URL = f"https://example.org{PREFIX}"
    set_script_prefix(PREFIX if known else "/")
    try:
        assert public_url("batch-detail", "b1") == f"https://example.org{PREFIX}/batches/b1/"
    finally:
        set_script_prefix("/")


def _first_segments() -> list[str]:
    """Return how the addresses of the site map begin, and those of websockets and static files."""
    own = {re.match(r"\^?(\w*)", str(each.pattern)) for each in urlpatterns}
    return sorted({found[1] for found in own if found and found[1]} | {"ws", "static", "favicon"})


SPELLED = {
    "templates": ("*.html", re.compile(r"""=\s*["']/(?!/)(?:[\w{?#]|["'](?! data-key-name))""")),
    "static": ("*.js", re.compile(rf"""["'`}}]/(?:{"|".join(_first_segments())})\b""")),
    "static/css": ("*.css", re.compile(r"""url\(["']?/""")),
    "dashboard": ("*.py", re.compile(rf"""["'}}]/(?:{"|".join(_first_segments())})\b""")),
}
"""What spells an address, by folder and kind of file."""

RELATIVE = {
    r'@router\.\w+\("/|docs_url="/docs"': "routes of the API, below its root",
    r'path_prefix="/api/v1/"|removeprefix\("/api/v1/"\)': "the reference of the API, without a host",
    r'^API_ROOT = "/api/"$': "is compared with paths without the prefix",
    r'STATIC_URL = f"\{ADDRESS\.prefix\}/static/"': "has the prefix",
    r'lambda record: "/healthz" not in': "a line of the log",
    r"^UNTRACED = ": "are compared with paths without the prefix",
}
"""What may look so, and why."""


@pytest.mark.parametrize("folder", SPELLED)
def test_no_address_is_spelled_in_code(folder: str) -> None:
    """Addresses come from the site map (`{% url %}`, `reverse`), from `{% static %}`, or from the page to a script."""
    pattern, spelled = SPELLED[folder]
    files = list((ROOT / folder).rglob(pattern))
    assert files
    lines = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in files
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if spelled.search(line) and not any(re.search(each, line.strip()) for each in RELATIVE)
    ]
    assert lines == []


def test_the_search_for_addresses_finds_what_it_is_for() -> None:
    bad: dict[str, list[Any]] = {
        "templates": ['<a href="/">', "<a href='/batches/'>", '<div data-live="/ws/{{ x }}/">', '<a href="/{{ x }}">'],
        "static": ['fetch("/batches/")', "includes('/login/?next=')", "`${origin}/api/v1/`"],
        "static/css": ['url("/static/x.png")', "url(/x.png)"],
        "dashboard": ['redirect("/login/")', 'f"{url}/batches/{id}/"'],
    }
    for folder, examples in bad.items():
        assert [each for each in examples if not SPELLED[folder][1].search(each)] == []
