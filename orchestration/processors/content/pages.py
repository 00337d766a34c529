"""Reading HTML, leniently, as a browser would. Runs in a process of its own."""

from __future__ import annotations

from typing import Any
from urllib.parse import urljoin, urlsplit

from bs4 import BeautifulSoup
from langdetect import DetectorFactory, detect
from langdetect.lang_detect_exception import LangDetectException

MIN_WORDS_FOR_LANGUAGE = 20
"""With fewer words, language detection would be a guess."""

INVISIBLE_TAGS = ("script", "style", "template", "noscript", "head", "title")
LONGEST_TITLE = 10_000

DetectorFactory.seed = 0  # detection is otherwise not deterministic


def read_page(content: bytes, *, url: str, charset: str | None, language: str, links_kept: int) -> dict[str, Any]:
    """Return what a page says: title, words, language, number of links to other hosts, the first of them, bytes.

    `charset` and `language` are what the response says of it.
    """
    soup = BeautifulSoup(content, "html.parser", from_encoding=charset)
    title = " ".join(soup.title.get_text(" ").split()) if soup.title else ""
    outgoing = _outgoing(soup, url)
    own = str(soup.html.get("lang") or "") if soup.html else ""
    for each in soup(INVISIBLE_TAGS):
        each.decompose()
    words = soup.get_text(" ").split()
    return {
        "url": url,
        "title": title[:LONGEST_TITLE],
        "words": len(words),
        "language": (own or language or _language_of(words)).lower()[:20],
        "links": len(outgoing),
        "outgoing": outgoing[:links_kept],
        "size": len(content),
    }


def _outgoing(soup: BeautifulSoup, url: str) -> list[str]:
    """Return the distinct URLs on other hosts that a page links to, without fragments."""
    here = urlsplit(url).netloc
    found = dict[str, None]()
    for link in soup.find_all("a", href=True):
        try:
            target = urlsplit(urljoin(url, str(link["href"]).strip()))
        except ValueError:
            continue
        if target.scheme in ("http", "https") and target.netloc not in ("", here):
            found[target._replace(fragment="").geturl()] = None
    return list(found)


def _language_of(words: list[str]) -> str:
    if len(words) < MIN_WORDS_FOR_LANGUAGE:
        return ""
    try:
        return str(detect(" ".join(words[:1_000])))
    except LangDetectException:
        return ""
