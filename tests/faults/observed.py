"""The dashboard beside faults, asked as browsers and programs do, and everything that was seen of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.support.running import Run
from tests.support.waiting import wait_until

FINAL = ("completed", "failed", "completed_with_failures", "canceled", "terminated", "timed_out")
ANSWER_WITHIN = 120.0

AWAY = 503
"""Status of a page that says that something is away for the moment."""

NO_ANSWER = 599


@dataclass
class Observed:
    """What was seen so far, by several threads: `ended` has the completed items of each batch that has ended."""

    batches: dict[str, str] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)
    answers: Counter[int] = field(default_factory=Counter)
    bad: list[str] = field(default_factory=list)
    slowest: float = 0.0
    processes: set[int] = field(default_factory=set)
    most_memory: int = 0

    def record(self, path: str, answer: httpx.Response, seconds: float) -> None:
        """Count an answer, and keep what was bad about it."""
        self.answers[answer.status_code] += 1
        self.slowest = max(self.slowest, seconds)
        if answer.status_code >= 500 and answer.status_code != AWAY:
            self.bad.append(f"{answer.status_code} {path}: {answer.text[:300]}")


class Dashboard:
    """The dashboard of a run, asked as a browser and as a program, with every answer recorded."""

    def __init__(self, run: Run, observed: Observed) -> None:
        self._observed, self._token = observed, run.login["token"]
        self._browser = httpx.Client(base_url=run.url, follow_redirects=True, timeout=60)
        self._browser.get("/login/")
        login = {name: run.login[name] for name in ("username", "password")}
        self._browser.post("/login/", data=login | {"csrfmiddlewaretoken": self._browser.cookies["csrftoken"]})

    def ask(self, path: str, body: Any = None) -> httpx.Response:
        """Get a path, or post a body to it."""
        headers = {"Authorization": f"Bearer {self._token}"} if path.startswith("/api/") else {}
        started = time.monotonic()
        try:
            answer = self._browser.request("GET" if body is None else "POST", path, json=body, headers=headers)
        except httpx.TransportError as error:
            answer = httpx.Response(NO_ANSWER, text=repr(error))
        self._observed.record(path, answer, time.monotonic() - started)
        return answer

    def launch(self, processor: str, number: int, options: dict[str, Any]) -> str:
        """Launch a batch and return its id."""
        items = {"count": number} if processor == "simulate" else {"items": [str(each) for each in range(number)]}
        answer = self._answer("/api/v1/batches", {"processor": processor, **items, **options})
        assert answer.status_code == 201, answer.text
        found = str(answer.json()["id"])
        self._observed.batches[found] = processor
        return found

    def _answer(self, path: str, body: Any = None) -> httpx.Response:
        """Ask until there is an answer."""
        answers = list[httpx.Response]()

        def is_answered() -> bool:
            answers[:] = [self.ask(path, body)]
            return answers[0].status_code not in (AWAY, NO_ANSWER)

        wait_until(is_answered, f"{path} answers", ANSWER_WITHIN)
        return answers[0]

    def state(self, batch: str) -> dict[str, Any]:
        """Return a batch's state; empty while the dashboard says that something is away."""
        answer = self.ask(f"/api/v1/batches/{batch}")
        return answer.json() if answer.status_code == 200 else {}

    def has_ended(self, batch: str) -> bool:
        """Whether a batch has ended."""
        if batch not in self._observed.ended:
            state = self.state(batch)
            if state.get("status") in FINAL:
                self._observed.ended[batch] = state["items"]["completed"]
        return batch in self._observed.ended

    def items(self, batch: str) -> Iterator[dict[str, Any]]:
        """Yield all items of a batch."""
        cursor = ""
        while True:
            page = self._answer(f"/api/v1/batches/{batch}/items?limit=500{cursor}").json()
            yield from page["results"]
            if page["next"] is None:
                return
            cursor = f"&cursor={page['next']}"
