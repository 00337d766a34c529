"""Every route of the site, requested as everybody: who gets past its guard."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.middleware.csrf import _get_new_csrf_string
from django.test import Client
from django.test.client import ClientHandler
from django.urls import URLPattern, URLResolver, get_resolver
from ninja.operation import PathView

SAFE = ("GET",)
FOREIGN = "https://evil.example"


class Form(dict[str, bytes]):
    """A body that is sent as a form with files."""


@dataclass(frozen=True)
class Route:
    """One URL pattern: as it is written, and a path that fits it."""

    pattern: str
    path: str
    name: str
    methods: tuple[str, ...]

    @property
    def is_api(self) -> bool:
        """Whether it is the JSON API's."""
        return self.pattern.startswith("api/")


def every_route(values: Mapping[str, Any]) -> list[Route]:
    """Return all routes, with values for their parameters by route name and parameter, or by parameter alone."""
    return sorted(_routes(get_resolver().url_patterns, "", values), key=lambda route: route.pattern)


def _routes(patterns: list[Any], prefix: str, values: Mapping[str, Any]) -> Iterator[Route]:
    for each in patterns:
        pattern = prefix + str(each.pattern)
        if isinstance(each, URLResolver):
            yield from _routes(each.url_patterns, pattern, values)
            continue
        assert isinstance(each, URLPattern)
        name = str(each.name or "")
        yield Route(_readable(pattern), _filled(pattern, name, values), name, _methods(each))


def _methods(pattern: URLPattern) -> tuple[str, ...]:
    """Return the methods to try: of the API those that it declares, of a page those that it does not refuse."""
    view: Any = pattern.callback
    while view is not None:
        owner = getattr(view, "__self__", None)
        if isinstance(owner, PathView):
            return tuple(sorted({method for each in owner.operations for method in each.methods}))
        for cell in getattr(view, "__closure__", None) or ():
            if isinstance(cell.cell_contents, PathView):
                return tuple(sorted({method for each in cell.cell_contents.operations for method in each.methods}))
        view = getattr(view, "__wrapped__", None)
    return ("GET", "POST")


def _readable(pattern: str) -> str:
    """Return a pattern as people write it: batches/{batch_id}/items.{form}."""
    pattern = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", pattern)
    pattern = re.sub(r"\(\?P\{(\w+)\}(?:[^()]|\([^()]*\))*\)", r"{\1}", pattern)
    return pattern.replace("^", "").replace("$", "").replace("\\.", ".")


def _filled(pattern: str, name: str, values: Mapping[str, Any]) -> str:
    def value(found: re.Match[str]) -> str:
        return str(values.get(f"{name}.{found[1]}", values.get(found[1], "")))

    return "/" + re.sub(r"\{(\w+)\}", value, _readable(pattern))


@functools.cache
def _handler() -> ClientHandler:
    """Return the one that serves all requests: each loads the middleware anew."""
    return ClientHandler(enforce_csrf_checks=True)


@dataclass(frozen=True)
class Caller:
    """Somebody who requests a route, as a browser with or without a login, or with a token."""

    title: str
    session: str = ""
    token: str = ""
    csrf: bool = True
    origin: str = ""
    only_writes: bool = False

    def gets_through(self, route: Route, method: str, body: Any) -> bool | None:
        """Whether the guard lets a request pass, whatever comes of it then; None where the method does not exist.

        Nothing that it does lasts.
        """
        browser = Client(enforce_csrf_checks=True, raise_request_exception=True)
        browser.handler = _handler()
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if self.session:
            browser.cookies["sessionid"] = self.session
        if self.csrf and not self.token:
            secret = _get_new_csrf_string()
            browser.cookies["csrftoken"] = secret
            headers["X-CSRFToken"] = secret
        if self.origin:
            headers["Origin"] = self.origin
        kind: dict[str, Any] = {}
        if isinstance(body, Form):
            kind = {"data": {name: SimpleUploadedFile(name, content) for name, content in body.items()}}
        elif body is not None:
            kind = {"data": body, "content_type": "application/json"}
        with transaction.atomic():
            answer = getattr(browser, method.lower())(route.path, headers=headers, **kind)
            transaction.set_rollback(True)
        assert answer.status_code < 500 or answer.status_code == 503, (route, method, self.title, answer.status_code)
        if answer.status_code == 405:
            return None
        to_login = answer.status_code == 302 and answer["Location"].startswith("/login/?next=")
        return answer.status_code not in (401, 403) and not to_login
