"""The launch catalogue: the demo, recent launches and a search first, patterns in a tab of their own, no ids."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from dashboard.models import Batch, DefinitionVersion, SavedDefinition
from orchestration.plan.presets import PRESETS
from tests.support import builders

pytestmark = pytest.mark.django_db

PATTERN_ID = re.compile(r"\b[A-D]\d{1,2}\b")


def words_of(client: Client, address: str) -> str:
    """Return what a page says."""
    answer = client.get(address)
    assert answer.status_code == 200
    main = answer.content.decode().partition("<main")[2].partition("</main>")[0]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", main))


def test_the_demo_and_recent_launches_come_first(logged_in: Client, operator: User) -> None:
    again = builders.make_batch(operator, 3, label="Nightly")
    builders.make_batch(operator, 3, label="Nightly")
    page = logged_in.get("/launch/").content.decode()
    assert page.index("Launch the demo") < page.index("Recent launches") < page.index("HTTP request")
    newest = Batch.objects.exclude(pk=again.pk).get()
    assert re.findall(r"\?like=(\w+)", page) == [newest.pk], "the same launch is one of them"


def test_a_search_finds_processors_patterns_and_definitions(logged_in: Client, operator: User) -> None:
    made = SavedDefinition.objects.create(name="Breaker of nightly bills", created_by=operator, newest=1)
    DefinitionVersion.objects.create(definition=made, number=1, kind="steps", text="kind: steps", author=operator)
    found = words_of(logged_in, "/launch/?q=breaker")
    assert "Circuit breaker" in found
    assert "Breaker of nightly bills" in found
    assert "HTTP request" not in found
    assert "Launch the demo" not in found
    assert "HTTP request" in words_of(logged_in, "/launch/?q=http_request")
    assert "Nothing matches “zzz”" in words_of(logged_in, "/launch/?q=zzz")
    fragment = logged_in.get("/launch/?q=chunk", headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in fragment


def test_patterns_have_a_tab_and_a_guide_with_contents_and_no_ids(logged_in: Client) -> None:
    tab, guide = words_of(logged_in, "/launch/patterns/"), logged_in.get("/patterns/").content.decode()
    for preset in PRESETS:
        assert preset.title in tab
        assert f"?preset={preset.name}" in guide, "it can be launched from the guide"
    anchors = set(re.findall(r'href="/patterns/#([\w-]+)"', logged_in.get("/launch/patterns/").content.decode()))
    assert anchors <= set(re.findall(r'<h[23] id="([\w-]+)"', guide))
    contents = guide.partition('<nav class="contents"')[2].partition("</nav>")[0]
    headings = guide.partition('<article class="guide"')[2].partition("</article>")[0]
    assert re.findall(r'<a href="#([\w-]+)"', contents) == re.findall(r'<h[23] id="([\w-]+)"', headings)
    for address in ("/launch/", "/launch/patterns/", "/patterns/", "/launch/?q=fan-out", "/definitions/new/"):
        assert PATTERN_ID.findall(words_of(logged_in, address)) == [], address


def test_a_viewer_has_no_launch_buttons_and_is_told_whom_to_ask(client: Client) -> None:
    client.force_login(builders.make_viewer())
    page = words_of(client, "/launch/")
    assert "Launch the demo" not in page
    assert "ask for the operator role" in page
    assert "?preset=" not in client.get("/patterns/").content.decode()
    for address in ("/launch/simulate/", "/watch/", "/definitions/new/", "/definitions/", "/schedules/", "/queues/"):
        main = client.get(address).content.decode().partition("<main")[2].partition("</main>")[0]
        assert re.findall(r'<button class="button (?:primary|danger)', main) == [], address
        assert "ask for the operator role" in main or "<form" not in main or "search" in main, address
