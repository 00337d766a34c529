"""web_page: fetch a page and say what is on it, as robots.txt allows."""

from __future__ import annotations

import asyncio
import time
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urljoin, urlsplit
from urllib.robotparser import RobotFileParser
from weakref import WeakKeyDictionary

import httpx
from langdetect import DetectorFactory, detect
from langdetect.lang_detect_exception import LangDetectException
from pydantic import BaseModel, ConfigDict, Field, model_validator

from orchestration.processors.http.client import (
    FetchedResponse,
    InvalidRequest,
    RequestFailed,
    RequestLimits,
    ResponseTooLarge,
    client,
    host_of,
    send,
    unexpected,
)
from orchestration.processors.http.egress import AddressRefused
from orchestration.processors.processor import ItemContext
from orchestration.processors.registry import processor

if TYPE_CHECKING:
    from bs4 import BeautifulSoup

AGENT = "Canopy"
ROBOTS_KNOWN_FOR = 3_600.0
"""Seconds, of the day that RFC 9309 allows (2.4)."""

ROBOTS_BYTES = 512 * 1024
"""What has to be read of a robots.txt at least (RFC 9309, 2.5)."""

WORDS_TO_TELL = 20
"""With fewer a language is a guess."""

UNSEEN = ("script", "style", "template", "noscript", "head", "title")
HTML = ("text/html", "application/xhtml+xml")

DetectorFactory.seed = 0  # the same page, the same language


class DisallowedByRobots(Exception):
    """The host's robots.txt does not want this page to be fetched."""


class NotAPage(Exception):
    """What is there is no HTML."""


class PageItem(BaseModel):
    """An address: the field `url`, or a plain line."""

    model_config = ConfigDict(extra="ignore")

    url: str = Field(min_length=1, max_length=4_000)

    @model_validator(mode="before")
    @classmethod
    def _line_is_url(cls, data: Any) -> Any:
        if isinstance(data, dict) and "url" not in data and "value" in data:
            return {**data, "url": data["value"]}
        return data


@dataclass
class PageParameters:
    """How politely pages are fetched."""

    respect_robots: Annotated[
        bool, Field(title="Respect robots.txt", description="Skip pages that a host disallows.")
    ] = True
    timeout: Annotated[float, Field(gt=0, le=600, title="Request timeout", description="Seconds per page.")] = 30
    at_once: Annotated[int, Field(ge=1, le=100, title="Concurrent requests per host")] = 2
    per_second: Annotated[
        float,
        Field(
            gt=0, le=1_000, title="Requests per second per host", description="Fewer where robots.txt asks for a delay."
        ),
    ] = 5
    links_kept: Annotated[int, Field(ge=0, le=1_000, title="Links kept", description="Links kept of each page.")] = 20


@dataclass
class Page:
    """What is on a page. `links` counts those to other hosts, `outgoing` are the first of them; `size` is in bytes."""

    url: str
    title: str
    words: int
    language: str
    links: int
    outgoing: list[str]
    size: int


@processor(
    name="web_page",
    title="Web page",
    summary="Fetch each page and keep its title, word count, language and outgoing links. Respects robots.txt.",
    non_retryable=(AddressRefused, DisallowedByRobots, InvalidRequest, NotAPage, ResponseTooLarge),
    icon="document-magnifying-glass",
    example="https://example.org/\nhttps://www.iana.org/help/example-domains",
    default_plan={"chunk_size": 20, "item_concurrency": 5},
)
async def web_page(item: PageItem, parameters: PageParameters, context: ItemContext) -> Page:
    """Fetch a page and read it."""
    request = _get(item.url)
    manners = RequestLimits(parameters.timeout, parameters.at_once, parameters.per_second)
    if parameters.respect_robots:
        robots = await _robots_of(request.url, manners, context)
        if not robots.can_fetch(AGENT, str(request.url)):
            raise DisallowedByRobots(f"robots.txt of {host_of(request)} does not allow {request.url.path}.")
        if delay := robots.crawl_delay(AGENT):
            manners = RequestLimits(manners.timeout, manners.at_once, min(manners.per_second, 1 / float(delay)))
    answer = await send(request, manners, context.waiting)
    if not answer.response.is_success:
        raise unexpected(answer, "200-299", host_of(request))
    kind = answer.response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind not in HTML:
        raise NotAPage(f"{kind or 'Content without a type'} is not a page.")
    return await asyncio.to_thread(_read, answer, parameters.links_kept)


def _get(url: str) -> httpx.Request:
    try:
        request = client().build_request("GET", url)
    except (httpx.InvalidURL, ValueError) as error:
        raise InvalidRequest(f"{url[:200]!r} is not a valid URL: {error}") from error
    if request.url.scheme not in ("http", "https") or not request.url.host:
        raise InvalidRequest(f"{url[:200]!r} is not an http or https address.")
    return request


def _read(answer: FetchedResponse, links_kept: int) -> Page:
    """Read a page. A parser that takes anything, so that a page is read as a browser would."""
    from bs4 import BeautifulSoup  # 0.15 s, and web processes read no pages

    url = str(answer.response.url)
    soup = BeautifulSoup(answer.body, "html.parser", from_encoding=answer.response.charset_encoding)
    title = " ".join(soup.title.get_text(" ").split()) if soup.title else ""
    outgoing = _outgoing(soup, url)
    language = str(soup.html.get("lang") or "") if soup.html else ""
    for each in soup(UNSEEN):
        each.decompose()
    words = soup.get_text(" ").split()
    language = language or answer.response.headers.get("Content-Language", "") or _language_of(words)
    return Page(url, title, len(words), language.lower()[:20], len(outgoing), outgoing[:links_kept], len(answer.body))


def _outgoing(soup: BeautifulSoup, url: str) -> list[str]:
    """Return the addresses of other hosts that a page links to, each once."""
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
    if len(words) < WORDS_TO_TELL:
        return ""
    try:
        return str(detect(" ".join(words[:1_000])))
    except LangDetectException:
        return ""


# robots.txt (RFC 9309)

_robots: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, tuple[float, asyncio.Task[RobotFileParser]]]] = (
    WeakKeyDictionary()
)


async def _robots_of(url: httpx.URL, manners: RequestLimits, context: ItemContext) -> RobotFileParser:
    """Return what a host allows; asked for once an hour, however many of its pages are wanted. Raises RequestFailed."""
    loop = asyncio.get_running_loop()
    known = _robots.setdefault(loop, {})
    origin = f"{url.scheme}://{url.netloc.decode()}"
    until, task = known.get(origin, (0.0, None))
    if task is None or time.monotonic() > until or (task.done() and (task.cancelled() or task.exception() is not None)):
        task = asyncio.create_task(_read_robots(origin, manners))
        known[origin] = time.monotonic() + ROBOTS_KNOWN_FOR, task
    with context.waiting():
        return await asyncio.shield(task)


async def _read_robots(origin: str, manners: RequestLimits) -> RobotFileParser:
    answer = await send(_get(f"{origin}/robots.txt"), manners, nullcontext)
    status = answer.response.status_code
    if status >= 500 or status == httpx.codes.TOO_MANY_REQUESTS:
        raise RequestFailed(f"robots.txt cannot be read ({status}), so nothing of the host is fetched.")
    robots = RobotFileParser()
    text = answer.body[:ROBOTS_BYTES].decode(errors="replace") if answer.response.is_success else ""
    robots.parse(text.splitlines())
    return robots
