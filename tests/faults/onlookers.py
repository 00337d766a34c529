"""People and programs that look at a deployment while parts of it fail, and what they are answered."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event

import httpx
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect
from websockets.typing import Origin

from tests.faults.deployment import Deployment

POLL_EVERY = 0.25
SILENCE = 12.0
"""Seconds after which a page takes its websocket for dead."""

GAP = 6.0
"""Seconds without a message that are noted: a tick comes every 5."""

PATHS = ("/api/v1/batches/{}", "/api/v1/batches/{}/nodes?limit=50", "/api/v1/batches/{}/items?limit=50", "/batches/{}/")


@dataclass
class Seen:
    """What was seen: answers by status or error, those of the web's own that no one should get, gaps of websockets.

    `refused` are all answers of 5xx, also those of the proxy, with their time.
    """

    answers: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    refused: list[tuple[float, str]] = field(default_factory=list)
    slowest: float = 0.0
    messages: int = 0
    gaps: list[float] = field(default_factory=list)


class Onlookers:
    """A program that polls the API and pages, and a page with a websocket."""

    def __init__(self, deployment: Deployment, newest: Callable[[], Sequence[str]], over: Event) -> None:
        self._deployment, self._newest, self._over, self.seen = deployment, newest, over, Seen()

    @contextmanager
    def session(self) -> Iterator[httpx.Client]:
        """Yield a client that has logged in as a person does."""
        with self._deployment.client() as client:
            del client.headers["Authorization"]
            page = client.get("/login/")
            found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
            assert found, page.text
            login = {name: self._deployment.login[name] for name in ("username", "password")}
            headers = {"Referer": f"{self._deployment.url}/login/"}
            client.post("/login/", data=login | {"csrfmiddlewaretoken": found[1]}, headers=headers)
            yield client

    def poll(self) -> None:
        """Ask again and again, and keep what is answered with 500 and more."""
        with self.session() as person, self._deployment.client() as program:
            turn = 0
            while not self._over.wait(POLL_EVERY):
                turn += 1
                if batches := self._newest():
                    path = PATHS[turn % len(PATHS)].format(batches[turn % len(batches)])
                    self._ask(program if path.startswith("/api/") else person, path)

    def _ask(self, client: httpx.Client, path: str) -> None:
        began = time.monotonic()
        try:
            answer = client.get(path)
        except httpx.HTTPError as error:
            self.seen.answers[type(error).__name__] += 1
            return
        self.seen.slowest = max(self.seen.slowest, time.monotonic() - began)
        self.seen.answers[str(answer.status_code)] += 1
        if answer.status_code >= 500:
            self.seen.refused.append((time.time(), f"{answer.status_code} {path}"))
        if answer.status_code >= 500 and answer.status_code not in (502, 503, 504):
            self.seen.errors.append(f"{time.time():.1f} {answer.status_code} {path}: {answer.text[:300]}")

    def watch(self) -> None:
        """Hold a websocket to the newest batch as a page does, and connect again whenever it is lost or silent."""
        last = time.monotonic()
        while not self._over.is_set():
            try:
                with self.session() as person:
                    cookie = "; ".join(f"{name}={value}" for name, value in person.cookies.items())
                last = self._read(cookie, last)
            except (OSError, httpx.HTTPError, WebSocketException, TimeoutError, AssertionError) as error:
                self.seen.answers[f"websocket: {type(error).__name__}"] += 1
                self._over.wait(1)

    def _read(self, cookie: str, last: float) -> float:
        batches = self._newest()
        path = f"/ws/batches/{batches[-1]}/?revision=0" if batches else "/ws/batches/"
        url, headers = self._deployment.url, {"Cookie": cookie}
        until = time.monotonic() + 45
        with connect(
            url.replace("https", "wss") + path,
            ssl=self._deployment.trust(),
            additional_headers=headers,
            origin=Origin(url),
            open_timeout=8,
            close_timeout=1,
            max_size=None,
        ) as socket:
            while not self._over.is_set() and time.monotonic() < until:
                socket.recv(timeout=SILENCE)
                now = time.monotonic()
                self.seen.messages += 1
                if now - last > GAP:
                    self.seen.gaps.append(now - last)
                last = now
        return last
