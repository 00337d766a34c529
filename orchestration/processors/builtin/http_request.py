"""http_request: sends an HTTP request for each item and checks the status of the response."""

from __future__ import annotations

import json
from functools import partial
from typing import Any, Literal

import httpx
from pydantic import BaseModel, ConfigDict, Field, field_validator

from orchestration.processors.form_hints import ADVANCED, DURATION
from orchestration.processors.http.client import (
    InvalidRequest,
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
from orchestration.processors.secret_scopes import SecretNotAllowed, check_use
from orchestration.processors.secrets import SECRET_PREFIX, SecretMissing, value_of
from orchestration.processors.templating import (
    PLACEHOLDER,
    JsonTemplate,
    UnknownField,
    extract,
    fill_json,
    fill_text,
    fill_url,
    placeholder_of,
    secrets_in,
    secrets_in_json,
)
from orchestration.processors.threads import processor_threads

LARGE_BODY = 256 * 1024
"""Bytes of a response from which reading its JSON would hold up everything else in the worker's event loop."""

METHODS_WITH_IDEMPOTENCY_KEY = ("POST", "PATCH")
"""Methods that are not idempotent: the key lets the other side recognise a second attempt."""

SENSITIVE_HEADERS = frozenset(
    ("authorization", "proxy-authorization", "cookie", "api-key", "x-api-key", "x-auth-token", "x-access-token")
)
"""Headers that hold credentials."""


class InvalidResponse(Exception):
    """The response is not JSON, or has no value at the path to extract."""


class HttpItem(BaseModel):
    """Fields for the templates. A plain line is the field `value`, and `url` too where there is none."""

    model_config = ConfigDict(extra="allow")

    value: str | None = None


class HttpParameters(BaseModel):
    """The request, as templates over an item's fields."""

    model_config = ConfigDict(extra="forbid")

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"] = Field(default="GET", title="Method")
    url: str = Field(
        default="{url}",
        min_length=1,
        max_length=4_000,
        title="URL",
        description="With item fields in braces, such as https://example.org/users/{id}. For plain lines use {url}.",
    )
    headers: dict[str, str] = Field(
        default_factory=dict,
        title="Headers",
        description="One per line, as Name: value. Item fields in braces; {secret:CRM_TOKEN} inserts the secret of "
        "that name, and redirects are then not followed. POST and PATCH send an Idempotency-Key that is "
        "the same in every attempt.",
    )
    body: JsonTemplate = Field(
        default="",
        max_length=100_000,
        title="JSON body",
        description='JSON with item fields, such as {"user": "{id}"}. Empty: no body.',
        json_schema_extra={"widget": "textarea"},
    )
    expected_status: str = Field(
        default="200-299",
        title="Expected status",
        description="Numbers and ranges, such as 200,204 or 200-399. Anything else fails the item.",
    )
    timeout: float = Field(
        default=30,
        gt=0,
        le=600,
        title="Request timeout",
        description="How long one request may take.",
        json_schema_extra=DURATION | ADVANCED,
    )
    at_once: int = Field(
        default=20,
        ge=1,
        le=1_000,
        title="Concurrent requests per host",
        description="Concurrent requests from one worker to one host.",
        json_schema_extra=ADVANCED,
    )
    per_second: float = Field(
        default=0,
        ge=0,
        le=10_000,
        title="Requests per second per host",
        description="Requests per second from one worker to one host; 0: no limit. Retry-After is always respected.",
        json_schema_extra=ADVANCED,
    )
    extract: str = Field(
        default="",
        max_length=500,
        title="Extract",
        description="Dotted path of the part of a JSON response to keep, such as data.items.0.id. Empty: keep nothing.",
    )

    @field_validator("headers")
    @classmethod
    def _reject_plain_secrets(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if name.lower() in SENSITIVE_HEADERS and not PLACEHOLDER.search(value):
                raise ValueError(
                    f"{name}: values entered here are stored with the batch. Put the secret into {SECRET_PREFIX}NAME "
                    "on the workers, and {secret:NAME} here."
                )
        return headers

    @field_validator("expected_status")
    @classmethod
    def _check_status(cls, given: str) -> str:
        expected_statuses(given)
        return given


class HttpResult(BaseModel):
    """Status, `duration` in milliseconds, `size` of the body in bytes, and the extracted value."""

    status: int
    duration: float
    size: int
    extract: Any = None


def expected_statuses(given: str) -> frozenset[int]:
    """Parse numbers and ranges such as 200,300-399. Raises ValueError with a message for the user."""
    found = set[int]()
    for part in given.split(","):
        first, _, last = part.strip().partition("-")
        if not first.isdecimal() or (last and not last.isdecimal()):
            raise ValueError(f"{part.strip()!r} is neither a status nor a range such as 200-299.")
        numbers = range(int(first), int(last or first) + 1)
        if not numbers or numbers.start < 100 or numbers.stop > 600:
            raise ValueError(f"{part.strip()!r} is not within 100 to 599.")
        found.update(numbers)
    return frozenset(found)


@processor(
    own_loop=False,
    name="http_request",
    title="HTTP request",
    summary="Send one request for each item and check its status: call an API, warm a cache, check links.",
    non_retryable=(
        *(AddressRefused, SecretMissing, SecretNotAllowed, UnknownField),
        *(InvalidRequest, InvalidResponse, ResponseTooLarge),
    ),
    icon="globe-alt",
    example="url,name\nhttps://example.org/,Example\nhttps://example.org/about,About",
    example_format="csv",
)
async def http_request(item: HttpItem, parameters: HttpParameters, context: ItemContext) -> HttpResult:
    """Send the request and return status, duration, size and extract."""
    request = _request(item, parameters, context)
    limits = RequestLimits(
        parameters.timeout, parameters.at_once, parameters.per_second, follow_redirects=not _secrets(parameters)
    )
    fetched = await send(request, limits, context.waiting)
    if fetched.response.status_code not in expected_statuses(parameters.expected_status):
        raise unexpected(fetched, parameters.expected_status, host_of(request))
    value = await _extracted(fetched.body, parameters.extract, context) if parameters.extract else None
    status, size = fetched.response.status_code, len(fetched.body)
    return HttpResult(status=status, duration=fetched.duration, size=size, extract=value)


def _request(item: HttpItem, parameters: HttpParameters, context: ItemContext) -> httpx.Request:
    given = item.model_dump(exclude_none=True)
    fields = {"key": context.key, "index": context.index, "url": given.get("value", context.key)} | given
    url = fill_url(parameters.url, fields, value_of)
    headers = {name: fill_text(value, fields, value_of) for name, value in parameters.headers.items()}
    has_key = "idempotency-key" in map(str.lower, headers) or not context.idempotency_key
    if parameters.method in METHODS_WITH_IDEMPOTENCY_KEY and not has_key:
        headers["Idempotency-Key"] = context.idempotency_key
    body = fill_json(json.loads(parameters.body), fields, value_of) if parameters.body.strip() else None
    shown = fill_url(parameters.url, fields, placeholder_of)
    options = {"headers": headers, "json": body, "timeout": parameters.timeout}
    request = build_request(parameters.method, url, shown=shown, **options)
    for name in sorted(_secrets(parameters)):
        check_use(name, host=host_of(request))
    return request


def _secrets(parameters: HttpParameters) -> set[str]:
    """Return the secrets that a request contains, which a redirect would send to another address."""
    return secrets_in([parameters.url, *parameters.headers.values()]) | secrets_in_json(parameters.body)


async def _extracted(body: bytes, path: str, context: ItemContext) -> Any:
    """Return what a path names in a response, read in a thread where that takes a while."""
    if len(body) < LARGE_BODY:
        return _extract(body, path)
    return await processor_threads().run("http_request", partial(_extract, body, path), context.waiting)


def _extract(body: bytes, path: str) -> Any:
    try:
        return extract(json.loads(body), path)
    except ValueError as error:
        raise InvalidResponse("The response is not JSON.") from error
    except UnknownField as error:
        raise InvalidResponse(str(error)) from error
