"""Path, scheme and peer are what the browser had, whatever the proxy and uvicorn have made of them."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.urls import get_script_prefix, reverse
from pytest_django import Settings

from dashboard.server import behind_proxy
from dashboard.server.behind_proxy import path_within
from dashboard.server.throttle import Throttle


class Cycle:
    """What uvicorn calls an application with."""

    def __init__(self, peer: Any, tls: object) -> None:
        self.transport = self
        self._known = {"peername": peer, "sslcontext": tls}

    def get_extra_info(self, name: str) -> Any:
        """Return what a transport knows."""
        return self._known[name]

    async def receive(self) -> dict[str, Any]:
        """Receive nothing."""
        return {}


async def served(path: str, *, root: str = "", peer: Any = ("127.0.0.1", 1), tls: object = None, **more: Any) -> Any:
    """Return the scope that the application sees, or what was answered before it."""
    seen: list[Any] = []

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        seen.append(scope | {"prefix": get_script_prefix(), "home": reverse("home")})

    async def send(message: dict[str, Any]) -> None:
        seen.append(message)

    headers = [(name.replace("_", "-").encode(), value.encode()) for name, value in more.pop("headers", {}).items()]
    scope = {"type": "http", "path": path, "root_path": root, "headers": headers, "client": ("1.1.1.1", 0), **more}
    await behind_proxy.behind_proxy(application)(scope, Cycle(peer, tls).receive, send)
    return seen[0]


@pytest.fixture(autouse=True)
def fresh(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.TRUSTED_PROXIES = []
    monkeypatch.setattr(behind_proxy, "WARNED", Throttle(1, 3600))


@pytest.mark.parametrize(
    ("prefix", "root", "path", "within"),
    [
        (None, "", "/batches/", "/batches/"),
        ("/canopy", "", "/canopy/batches/", "/batches/"),
        ("/canopy", "", "/batches/", "/batches/"),
        ("/canopy", "", "/canopybatches/", "/canopybatches/"),
        ("/canopy", "", "/canopy/", "/"),
        ("/canopy", "", "/", "/"),
        ("/a/b", "", "/a/b/batches/", "/batches/"),
        ("/a/b", "", "/b/batches/", "/b/batches/"),
        ("/canopy", "/canopy", "/canopy/batches/", "/batches/"),
        ("/canopy", "/canopy", "/canopy/canopy/batches/", "/batches/"),
        (None, "/canopy", "/canopy/canopy/batches/", "/batches/"),
        (None, "/canopy/", "/canopy/batches/", "/batches/"),
    ],
)
async def test_a_prefix_may_be_passed_on_or_taken_away(
    settings: Settings, prefix: str | None, root: str, path: str, within: str
) -> None:
    settings.FORCE_SCRIPT_NAME = prefix
    expected = prefix or root.rstrip("/")
    for kind in ("http", "websocket"):
        scope = await served(path, root=root, type=kind)
        assert (scope["root_path"], scope["path"], path_within(scope)) == (expected, expected + within, within)
        assert scope["prefix"] == scope["home"] == f"{expected}/"


async def test_the_prefix_alone_leads_to_its_first_page(settings: Settings) -> None:
    settings.FORCE_SCRIPT_NAME = "/canopy"
    answer = await served("/canopy", query_string=b"tab=x")
    assert (answer["status"], dict(answer["headers"])[b"location"]) == (307, b"/canopy/?tab=x")


@pytest.mark.parametrize(
    ("trusted", "peer", "tls", "said", "secure"),
    [
        ([], "127.0.0.1", None, "https", True),
        ([], "127.0.0.1", None, "HTTPS, http", True),
        ([], "127.0.0.1", None, "http", False),
        ([], "127.0.0.1", None, "", False),
        ([], "10.0.0.1", None, "https", False),
        (["10.0.0.0/8"], "10.0.0.1", None, "https", True),
        (["10.0.0.0/8"], "127.0.0.1", None, "https", False),
        (["unix:"], "", None, "https", True),
        ([], "10.0.0.1", object(), "", True),
    ],
)
async def test_the_scheme_is_the_browsers(
    settings: Settings, trusted: list[str], peer: str, tls: object, said: str, secure: bool
) -> None:
    settings.TRUSTED_PROXIES = trusted
    headers = {"x-forwarded-proto": said} if said else {}
    scheme = {"http": "https" if secure else "http", "websocket": "wss" if secure else "ws"}
    for kind, expected in scheme.items():
        scope = await served("/", type=kind, peer=(peer, 1) if peer else "", tls=tls, headers=headers, scheme="https")
        assert scope["scheme"] == expected


async def test_the_peer_is_the_other_end_of_the_socket() -> None:
    scope = await served("/", peer=("192.0.2.7", 50_000))
    assert scope["client"] == ("192.0.2.7", 50_000)
    assert (await served("/", peer=""))["client"] is None


async def test_a_proxy_that_is_not_believed_is_named_once(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, behind_proxy.__name__)
    for _ in range(3):
        await served("/", peer=("10.0.0.9", 1), headers={"x-forwarded-for": "203.0.113.1"})
    assert caplog.text.count("TRUSTED_PROXIES=10.0.0.9") == 1
    settings.TRUSTED_PROXIES = ["10.0.0.8"]
    await served("/", peer=("10.0.0.8", 1), headers={"x-forwarded-for": "203.0.113.1"})
    await served("/", peer=("10.0.0.7", 1))
    assert len(caplog.records) == 1
