"""web_page: fetches pages, as far as robots.txt allows it: title, word count, language, outgoing links."""

from __future__ import annotations

import asyncio
import time
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any
from urllib.robotparser import RobotFileParser
from weakref import WeakKeyDictionary

import httpx
from pydantic import BaseModel, ConfigDict, Field, model_validator

from orchestration.processors.content.readers import CONTENT_ERRORS, content_readers
from orchestration.processors.form_hints import DURATION
from orchestration.processors.http.client import (
    InvalidRequest,
    RequestFailed,
    RequestLimits,
    ResponseTooLarge,
    build_request,
    host_of,
    send,
    unexpected,
)
from orchestration.processors.http.egress import AddressRefused
from orchestration.processors.processor import ItemContext
from orchestration.processors.registry import processor
from orchestration.processors.threads import processor_threads

USER_AGENT = "Canopy"
ROBOTS_TTL = 3_600.0
"""Seconds to cache a robots.txt; RFC 9309 (2.4) allows up to a day."""

LONGEST_DELAY = 60
"""Seconds between two requests that a robots.txt may ask for."""

MAX_ROBOTS_BYTES = 512 * 1024
"""Bytes of a robots.txt that are read; RFC 9309 (2.5) requires at least 500 KiB."""

READ_PAGE = "orchestration.processors.content.pages:read_page"
HTML_TYPES = ("text/html", "application/xhtml+xml")


class DisallowedByRobots(Exception):
    """The host's robots.txt disallows the page."""


class NotAPage(Exception):
    """The response is not HTML."""


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
    timeout: Annotated[
        float,
        Field(
            gt=0,
            le=600,
            title="Request timeout",
            description="How long one page may take.",
            json_schema_extra=DURATION,
        ),
    ] = 30
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
    """Result of a page. `links` counts links to other hosts, `outgoing` has the first of them; `size` is in bytes."""

    url: str
    title: str
    words: int
    language: str
    links: int
    outgoing: list[str]
    size: int


@processor(
    own_loop=False,
    name="web_page",
    title="Web page",
    summary="Fetch each page and keep its title, word count, language and outgoing links. Respects robots.txt.",
    non_retryable=(AddressRefused, DisallowedByRobots, InvalidRequest, NotAPage, ResponseTooLarge, *CONTENT_ERRORS),
    icon="document-magnifying-glass",
    example="https://example.org/\nhttps://www.iana.org/help/example-domains",
    default_plan={"chunk_size": 20, "item_concurrency": 5},
)
async def web_page(item: PageItem, parameters: PageParameters, context: ItemContext) -> Page:
    """Fetch a page and parse it."""
    request = build_request("GET", item.url)
    limits = RequestLimits(parameters.timeout, parameters.at_once, parameters.per_second)
    if parameters.respect_robots:
        robots = await _robots_of(request.url, limits, context)
        if not robots.can_fetch(USER_AGENT, str(request.url)):
            raise DisallowedByRobots(f"robots.txt of {host_of(request)} does not allow {request.url.path}.")
        if delay := min(int(robots.crawl_delay(USER_AGENT) or 0), LONGEST_DELAY):
            limits = RequestLimits(limits.timeout, limits.at_once, min(limits.per_second, 1 / delay))
    fetched = await send(request, limits, context.waiting)
    if not fetched.response.is_success:
        raise unexpected(fetched, "200-299", host_of(request))
    kind = fetched.response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind not in HTML_TYPES:
        raise NotAPage(f"{kind or 'Content without a type'} is not a page.")
    said = await content_readers().read(
        "web_page",
        READ_PAGE,
        fetched.body,
        context.waiting,
        url=str(fetched.response.url),
        charset=fetched.response.charset_encoding,
        language=fetched.response.headers.get("Content-Language", ""),
        links_kept=parameters.links_kept,
    )
    return Page(**said)


# robots.txt (RFC 9309)

_robots: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, tuple[float, asyncio.Task[RobotFileParser]]]] = (
    WeakKeyDictionary()
)


async def _robots_of(url: httpx.URL, limits: RequestLimits, context: ItemContext) -> RobotFileParser:
    """Return the robots.txt of a host, fetched once an hour for all its pages. Raises RequestFailed."""
    loop = asyncio.get_running_loop()
    cached = _robots.setdefault(loop, {})
    origin = f"{url.scheme}://{url.netloc.decode()}"
    expires, task = cached.get(origin, (0.0, None))
    has_failed = task is not None and task.done() and (task.cancelled() or task.exception() is not None)
    if task is None or time.monotonic() > expires or has_failed:
        task = asyncio.create_task(_read_robots(origin, limits))
        cached[origin] = time.monotonic() + ROBOTS_TTL, task
    with context.waiting():
        return await asyncio.shield(task)


async def _read_robots(origin: str, limits: RequestLimits) -> RobotFileParser:
    fetched = await send(build_request("GET", f"{origin}/robots.txt"), limits, nullcontext)
    status = fetched.response.status_code
    if status >= 500 or status == httpx.codes.TOO_MANY_REQUESTS:
        raise RequestFailed(f"robots.txt cannot be read ({status}), so nothing of the host is fetched.")
    robots = RobotFileParser()
    text = fetched.body[:MAX_ROBOTS_BYTES].decode(errors="replace") if fetched.response.is_success else ""
    await processor_threads().run("web_page", partial(robots.parse, text.splitlines()), nullcontext)
    return robots
