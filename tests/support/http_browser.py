"""A browser without scripts, over HTTP."""

from __future__ import annotations

from typing import Any

import httpx

from tests.support.running import Run
from tests.support.stack import Stack


class HttpBrowser(httpx.Client):
    """A person's browser without scripts, logged in."""

    def __init__(self, stack: Stack | Run, person: dict[str, str]) -> None:
        closing = httpx.Limits(max_keepalive_connections=0)
        super().__init__(base_url=stack.url, follow_redirects=True, timeout=60, limits=closing)
        self.get("/login/")
        self.submit("/login/", {"username": person["username"], "password": person["password"]})

    def submit(self, path: str, data: dict[str, Any], **more: Any) -> httpx.Response:
        """Post a form."""
        return self.post(path, data=data | {"csrfmiddlewaretoken": self.cookies["csrftoken"]}, **more)


def http_browser(stack: Stack | Run, login: dict[str, str] | None = None) -> HttpBrowser:
    """Return the browser of a person, by default the stack's operator: they log in once, which takes 0.5 s of CPU."""
    person = login or stack.login
    name = stack.url, person["username"]
    if name not in _browsers:
        _browsers[name] = HttpBrowser(stack, person)
    return _browsers[name]


_browsers: dict[tuple[str, str], HttpBrowser] = {}
