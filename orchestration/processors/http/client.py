"""The HTTP client of a worker: restricted to public addresses, with limits for each host."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from weakref import WeakKeyDictionary

import httpx

from orchestration.processors.credentials import without_credentials
from orchestration.processors.http.egress import EgressPolicy, GuardedBackend, GuardedTransport
from orchestration.processors.http.host_limits import back_off, host_slot, retry_after_seconds
from orchestration.processors.secrets import mask
from orchestration.processors.worker_setup import on_shutdown

MAX_REDIRECTS = 5
MAX_BODY_BYTES = 10 * 1024 * 1024
DEFAULT_PORTS = {"http": 80, "https": 443}
SHOWN_AS = "canopy.shown"
SHOWN = 200
"""Characters of a URL in an error."""

_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncClient] = WeakKeyDictionary()


class UnexpectedStatus(Exception):
    """The response's status is not among the expected ones. `retry_after`: seconds of its Retry-After header."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ResponseTooLarge(Exception):
    """The body is larger than MAX_BODY_BYTES."""


class RequestFailed(Exception):
    """No response: the connection failed, broke, or took too long."""


class InvalidRequest(Exception):
    """No valid request can be made of the item."""


@dataclass(frozen=True)
class RequestLimits:
    """Limits of a request: its timeout in seconds, and its host's concurrent requests and requests per second."""

    timeout: float
    at_once: int
    per_second: float
    follow_redirects: bool = True


@dataclass(frozen=True)
class FetchedResponse:
    """A response with its whole body; `duration` is in milliseconds."""

    response: httpx.Response
    body: bytes
    duration: float


async def send(
    request: httpx.Request, limits: RequestLimits, waiting: Callable[[], AbstractContextManager[None]]
) -> FetchedResponse:
    """Send a request within the limits of its host. Raises InvalidRequest, RequestFailed, ResponseTooLarge."""
    try:
        async with host_slot(host_of(request), limits.at_once, limits.per_second, waiting):
            started = time.perf_counter()
            async with asyncio.timeout(limits.timeout):
                response, body = await _receive(request, follow_redirects=limits.follow_redirects)
    except TimeoutError:
        raise RequestFailed(f"No response within {limits.timeout:g} s from {shown_url(request)}.") from None
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
        raise InvalidRequest(f"{_reason(error)} ({shown_url(request)})") from None
    except httpx.HTTPError as error:
        raise RequestFailed(f"{_reason(error)} ({shown_url(request)})") from None
    return FetchedResponse(response, body, round((time.perf_counter() - started) * 1000, 1))


def build_request(method: str, url: str, *, shown: str = "", **options: Any) -> httpx.Request:
    """Return a request of this event loop's client; errors name it as `shown`, by default without its credentials.

    Raises InvalidRequest for anything but an http or https URL.
    """
    shown = without_credentials(shown or url)[:SHOWN]
    try:
        request = client().build_request(method, url, extensions={SHOWN_AS: shown}, **options)
    except (httpx.InvalidURL, ValueError, TypeError) as error:  # what they say may contain what was filled in
        reason = _reason(error) if shown == url else type(error).__name__
        raise InvalidRequest(f"{shown!r} is not a valid URL or request: {reason}") from None
    if request.url.scheme not in ("http", "https") or not request.url.host:
        raise InvalidRequest(f"{shown!r} is not an http or https address.")
    return request


def shown_url(request: httpx.Request) -> str:
    """Return a request's URL for a person, without what was filled in for secrets."""
    return str(request.extensions.get(SHOWN_AS) or host_of(request))


def _reason(error: Exception) -> str:
    return str(mask(str(error))) or type(error).__name__


def host_of(request: httpx.Request) -> str:
    """Return the host and port that a request goes to."""
    return request.url.netloc.decode()


def unexpected(answer: FetchedResponse, expected: str, host: str) -> UnexpectedStatus:
    """Return the error for an unexpected status. Backs off from the host where Retry-After asks for it."""
    message = f"Expected {expected}, got {answer.response.status_code} {answer.response.reason_phrase}."
    wait = retry_after_seconds(answer.response.headers.get("Retry-After"))
    if wait is not None:
        back_off(host, wait)
        message += f" It asks to wait {wait:g} s."
    return UnexpectedStatus(message, wait)


async def _receive(request: httpx.Request, *, follow_redirects: bool) -> tuple[httpx.Response, bytes]:
    response = await client().send(request, stream=True)
    for followed in range(MAX_REDIRECTS + 1):
        following = _redirected(request, response) if follow_redirects else None
        if following is None:
            break
        await response.aclose()
        if followed == MAX_REDIRECTS:
            raise RequestFailed(f"More than {MAX_REDIRECTS} redirects ({shown_url(request)}).")
        request, response = following, await client().send(following, stream=True)
    try:
        body = bytearray()
        async for part in response.aiter_bytes():
            body += part
            if len(body) > MAX_BODY_BYTES:
                raise ResponseTooLarge(f"The response is larger than {MAX_BODY_BYTES // 1024 // 1024} MB.")
    finally:
        await response.aclose()
    return response, bytes(body)


def _redirected(request: httpx.Request, response: httpx.Response) -> httpx.Request | None:
    """Return the request that follows a redirect, if any: to another origin only reads, without the headers given."""
    following = response.next_request
    if following is None:
        return None
    shown = {SHOWN_AS: shown_url(request)}
    if _is_same_party(request, following):
        following.extensions = {**following.extensions, **shown}
        cookies = httpx.Cookies()
        cookies.extract_cookies(response)
        if cookies and "Cookie" not in following.headers:
            cookies.set_cookie_header(following)
        return following
    if following.method not in ("GET", "HEAD"):
        return None
    url = following.url.copy_with(username=None, password=None)
    return client().build_request(following.method, url, extensions={**following.extensions, **shown})


def _is_same_party(request: httpx.Request, following: httpx.Request) -> bool:
    """Whether an address is that of the same server: scheme and port count, but https instead of http is no change."""
    before, after = (
        (each.url.raw_host, each.url.scheme, each.url.port or DEFAULT_PORTS.get(each.url.scheme))
        for each in (request, following)
    )
    return after in (before, (before[0], "https", 443) if before[1:] == ("http", 80) else before)


def client() -> httpx.AsyncClient:
    """Return the client of this event loop, whose connections all batches share."""
    loop = asyncio.get_running_loop()
    if loop not in _clients:
        _clients[loop] = httpx.AsyncClient(
            transport=GuardedTransport(GuardedBackend(EgressPolicy.of_environment())),
            follow_redirects=False,  # by _receive alone
            cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=())),  # no batch gets those of another
            trust_env=False,
            headers={"User-Agent": "Canopy"},
        )
    return _clients[loop]


async def _close() -> None:
    client = _clients.pop(asyncio.get_running_loop(), None)
    if client is not None:
        await client.aclose()


on_shutdown(_close)
