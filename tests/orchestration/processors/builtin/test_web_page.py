"""web_page: pages of a real server, parsed, and only fetched if its robots.txt allows it."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from orchestration.processors.builtin.web_page import web_page
from orchestration.processors.catalogue import load
from orchestration.processors.content import readers
from orchestration.processors.http import client as http_client
from orchestration.testing import Outcome, process_items

GERMAN = "Die Bäume im Wald sind hoch und grün, und der Wind geht leise durch ihre Kronen, während es Abend wird."
PAGES = {
    "/plain": (
        "text/html; charset=utf-8",
        f"<title> Der   Wald </title><script>var hidden = 'not a word'</script><body><p>{GERMAN}</p>"
        "<a href='https://example.org/a#part'>A</a><a href='https://example.org/a'>again</a><a href='/here'>here</a>"
        "<a href='mailto:x@example.org'>mail</a><a href='http://[bad'>bad</a><a href=' //other.example/b '>B</a>",
    ),
    "/english": ("text/html", "<html lang='en-GB'><body>Three short words"),
    "/broken": ("text/html", "<p>never <b>closed <table><td>cell"),
    "/latin": ("text/html; charset=iso-8859-1", "<title>Café</title>"),
    "/file.pdf": ("application/pdf", "%PDF"),
    "/private/page": ("text/html", "secret"),
    "/empty": ("text/html", ""),
    "/comments": ("text/html", "<!--" * 60_000),
    "/tags": ("text/html", "<a href=//x.example/>" * 100_000),
}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server: Any = self.server
        server.visits.append(self.path)
        if self.path == "/robots.txt":
            self._answer(server.robots[0], "text/plain", server.robots[1].encode())
        elif self.path in PAGES:
            kind, text = PAGES[self.path]
            self._answer(200, kind, text.encode("iso-8859-1" if "iso" in kind else "utf-8"))
        else:
            self._answer(404, "text/html", b"no")

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
async def site(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A server without a robots.txt; `url` is its address."""
    load()
    monkeypatch.setenv("CANOPY_HTTP_ALLOW", "127.0.0.0/8")
    await http_client._close()
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.visits, server.robots, server.url = [], (404, ""), f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


async def fetch(site: Any, *paths: str, **parameters: Any) -> list[Outcome]:
    items = [{"value": f"{site.url}{path}"} for path in paths]
    return await process_items(web_page, items, {"per_second": 1_000, **parameters}, item_attempts=1)


async def test_a_result_has_title_words_language_and_outgoing_links(site: Any) -> None:
    plain, english, broken, latin, empty = await fetch(site, "/plain", "/english", "/broken", "/latin", "/empty")
    assert plain.result == {
        "url": f"{site.url}/plain",
        "title": "Der Wald",
        "words": len(GERMAN.split()) + 6,
        "language": "de",
        "links": 2,
        "outgoing": ["https://example.org/a", "http://other.example/b"],
        "size": len(PAGES["/plain"][1].encode()),
    }
    assert (english.result["language"], english.result["words"]) == ("en-gb", 3)
    assert broken.result["words"] == 3
    assert latin.result["title"] == "Café"
    assert (empty.result["title"], empty.result["words"], empty.result["language"]) == ("", 0, "")
    (few,) = await fetch(site, "/plain", links_kept=1)
    assert (few.result["links"], len(few.result["outgoing"])) == (2, 1)


async def test_robots_txt_is_read_once_and_respected(site: Any) -> None:
    site.robots = (200, "User-agent: *\nDisallow: /private/\nCrawl-delay: 0.01\n")
    refused, allowed, again = await fetch(site, "/private/page", "/english", "/plain")
    assert (refused.error_type, refused.attempts) == ("DisallowedByRobots", 1)
    assert refused.error.endswith("does not allow /private/page.")
    assert allowed.error == again.error == ""
    assert site.visits.count("/robots.txt") == 1
    assert "/private/page" not in site.visits
    (ignoring,) = await fetch(site, "/private/page", respect_robots=False)
    assert ignoring.error == ""


async def test_a_robots_txt_cannot_make_a_batch_wait_for_ever(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestration.processors.builtin.web_page.LONGEST_DELAY", 0)
    site.robots = (200, f"User-agent: *\nCrawl-delay: {'9' * 400}\n")
    pages = await fetch(site, "/english", "/plain", "/broken")
    assert [each.error for each in pages] == [""] * 3


async def test_an_unreadable_robots_txt_disallows_everything(site: Any) -> None:
    site.robots = (503, "")
    (page,) = await fetch(site, "/english")
    assert (page.error_type, "/english" in site.visits) == ("RequestFailed", False)
    site.robots = (200, "")
    (page,) = await fetch(site, "/english")
    assert page.error == ""


async def test_anything_but_a_page_fails_with_the_reason(site: Any) -> None:
    pdf, missing, no_address = await fetch(site, "/file.pdf", "/nothing", "")
    assert (pdf.error_type, pdf.error) == ("NotAPage", "application/pdf is not a page.")
    assert (missing.error_type, missing.error) == ("UnexpectedStatus", "Expected 200-299, got 404 Not Found.")
    items = [{"url": "ftp://example.org/x"}, {"url": ""}, {"other": "x"}]
    wrong, *invalid = await process_items(web_page, items, item_attempts=1)
    assert wrong.error_type == "InvalidRequest"
    assert [each.error_type for each in invalid] == ["ValidationError", "ValidationError"]
    assert no_address.error_type == "UnexpectedStatus"


@pytest.mark.parametrize("path", ["/comments", "/tags"])
async def test_a_page_that_takes_long_to_parse_is_given_up(
    site: Any, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(readers, "CPU_SECONDS", 1)
    slow, fine = await fetch(site, path, "/plain")
    assert (slow.error_type, slow.attempts) == ("ContentTooSlow", 1)
    assert slow.error == "Reading the content took more than 1 s of CPU time."
    assert fine.error == ""


async def test_parsing_ends_at_the_timeout_of_the_item(site: Any) -> None:
    items = [{"url": f"{site.url}/comments"}] * 3
    pages = await process_items(web_page, items, item_timeout=3, item_concurrency=3, item_attempts=1)
    assert all(each.error.startswith("No result within 3 s.") for each in pages)


async def test_a_private_address_is_refused(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANOPY_HTTP_ALLOW", "")
    await http_client._close()
    (page,) = await fetch(site, "/english")
    assert page.error_type == "AddressRefused"
