"""What goes on in a deployment while parts of it fail: batches of every kind, and people who act on them."""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.faults.deployment import REMOTE_QUEUE, Deployment

FINAL = ("completed", "failed", "completed_with_failures", "canceled", "terminated", "timed_out", "rolled_back")
RETRY = {"item_attempts": 3, "item_backoff": 0.2}
FIRST_FAILS = {"seconds_from": 0.02, "seconds_to": 0.25, "fail_first": 1, "fail_share": 0.5}
MOST_RETRIES = 12
RETRY_EVERY = 4.0
"""Seconds between two retries of a batch by the operator."""

PLANS: dict[str, dict[str, Any]] = {
    "chunks": {"chunk_size": 20, "window": 4, "item_concurrency": 4},
    "single children": {"chunk_size": 1, "window": 8},
    "activities": {"chunk_size": 10, "window": 4, "execution": "activities"},
    "local activities": {"chunk_size": 10, "window": 4, "execution": "local_activities"},
    "no children": {"chunk_size": 10, "window": 4, "execution": "no_children"},
    "pool": {"chunk_size": 4, "window": 3, "execution": "pool", "item_concurrency": 4},
    "entities": {"chunk_size": 1, "window": 4, "execution": "entities", "entity_field": "number", "entity_idle": 5},
    "pages": {"chunk_size": 5, "window": 4, "paged": True, "page_children": 10, "item_concurrency": 4},
    "remote": {"chunk_size": 10, "window": 3, "task_queue": REMOTE_QUEUE, "item_concurrency": 4},
    "held": {"chunk_size": 4, "window": 6, "hold_at_end": True, "item_attempts": 1},
}
"""Of batches of a processor: what differs in their plans."""

PIPELINE = """kind: pipeline
stages:
  - name: first
    processor: ledgered
    parameters: {seconds_from: 0.02, seconds_to: 0.1, fail_first: 1, fail_share: 0.5, stage: first}
    plan: {chunk_size: 10, window: 3, item_attempts: 3, item_backoff: 0.2}
  - name: second
    processor: ledgered
    parameters: {seconds_from: 0.02, seconds_to: 0.2, stage: second}
    plan: {chunk_size: 5, window: 4, item_attempts: 3, item_backoff: 0.2}
"""
SAGAS = """kind: saga
fan_out: true
steps:
  - {name: reserve, processor: ledgered, parameters: {stage: reserve}, compensation: {processor: ledgered}}
  - {name: pay, processor: ledgered, parameters: {stage: pay}}
plan: {chunk_size: 1, window: 4}
"""
SERVICES = """kind: services
services:
  - {name: stock, processor: ledgered, input: {number: 1}, parameters: {stage: stock}}
  - {name: price, processor: ledgered, input: {number: 2}, parameters: {stage: price}}
"""
STEPS = """kind: steps
steps:
  - {name: before, run: {processor: ledgered, input: {number: 1}, parameters: {stage: before}}}
  - name: all
    fan_out:
      processor: ledgered
      parameters: {stage: all}
      items: [{number: 1}, {number: 2}, {number: 3}, {number: 4}, {number: 5}, {number: 6}]
      plan: {chunk_size: 2, window: 2, item_attempts: 3}
  - {name: after, run: {processor: ledgered, input: {number: 1}, parameters: {stage: after}}}
"""
DEFINITIONS = {"pipeline": PIPELINE, "sagas": SAGAS, "services": SERVICES, "steps": STEPS}
WITHOUT_ITEMS = ("services", "steps")
SINGLE = ("single children", "sagas", "entities")
"""Kinds with a workflow for each item: they get a third of the items."""

ACTIONS = ("pause", "cancel", "terminate")
"""What the operator also does, to one of so many batches each."""

ONE_IN = 12


@dataclass
class Launched:
    """A batch that was launched: its kind, its items, what was done to it, and how it stands."""

    kind: str
    items: int
    at: float = field(default_factory=time.time)
    action: str = ""
    status: str = ""
    retries: int = 0
    retried_at: float = 0.0
    ended: float = 0.0

    @property
    def is_over(self) -> bool:
        """Whether nobody does anything to it any more."""
        return self.status in FINAL and (
            self.status == "completed" or bool(self.action) or self.retries >= MOST_RETRIES
        )


class Workload:
    """Launches batches and acts on them, in threads, until it is told to end; `items`: least and most of a batch."""

    def __init__(self, deployment: Deployment, seed: int, most_open: int, items: tuple[int, int]) -> None:
        self._deployment, self._random, self._most_open, self._items = deployment, random.Random(seed), most_open, items
        self.batches = dict[str, Launched]()
        self.answers = Counter[str]()
        self._definitions = dict[str, str]()
        self.launches_over, self.over = threading.Event(), threading.Event()

    def prepare(self) -> None:
        """Save the definitions, and make a schedule that launches a batch every minute."""
        with self._deployment.client() as client:
            for name, text in DEFINITIONS.items():
                made = self._made(client, "/api/v1/definitions", {"name": name, "text": text})
                self._definitions[name] = made["newest"]["id"]
            body = self._body("chunks", 20) | {"name": "every minute", "interval": 60, "overlap": "allow_all"}
            self.schedule = str(self._made(client, "/api/v1/schedules", body)["id"])

    def _made(self, client: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Post until something is made: a busy machine's first answers may come too late."""
        for _ in range(60):
            answer = self._asked(path, lambda: client.post(path, json=body))
            if answer is not None and answer.status_code == 201:
                made: dict[str, Any] = answer.json()
                return made
            self.over.wait(1)
        raise AssertionError(f"{path}: {answer.text if answer is not None else 'no answer'}")

    @property
    def open(self) -> list[str]:
        """Batches that are not over."""
        return [batch for batch, known in self.batches.items() if not known.is_over]

    def _body(self, kind: str, items: int) -> dict[str, Any]:
        if kind in DEFINITIONS:
            number = {} if kind in WITHOUT_ITEMS else {"items": [{"number": each} for each in range(items)]}
            return {"definition": self._definitions[kind], **number}
        parameters = FIRST_FAILS | ({"fail_first": 2, "fail_share": 0.15} if kind == "held" else {})
        plan = {**RETRY, **PLANS[kind]}
        return {"processor": "ledgered", "parameters": parameters, "plan": plan, **self._input(kind, items)}

    def _input(self, kind: str, items: int) -> dict[str, Any]:
        # Entities are shared by all batches of a value: these have values of their own.
        own = secrets.token_hex(3)
        field_of = (lambda each: f"{own}-{each % 8}") if kind == "entities" else (lambda each: each)
        return {"items": [{"id": f"{own}-{each}", "number": field_of(each)} for each in range(items)], "key": "id"}

    def _kinds(self) -> Iterator[str]:
        while True:
            yield from self._random.sample([*PLANS, *DEFINITIONS], len(PLANS) + len(DEFINITIONS))

    def launch(self) -> None:
        """Launch batches for as long as is wanted, so that a few are always open."""
        kinds = self._kinds()
        with self._deployment.client() as client:
            while not self.launches_over.is_set():
                if len(self.open) >= self._most_open:
                    self.launches_over.wait(0.5)
                    continue
                kind = next(kinds)
                items = self._random.randint(*self._items) // (3 if kind in SINGLE else 1)
                self._launch(client, kind, items)

    def _launch(self, client: httpx.Client, kind: str, items: int) -> None:
        """Launch until there is an answer: with one idempotency key, so that no batch is launched twice."""
        body, headers = self._body(kind, items), {"Idempotency-Key": secrets.token_hex(8)}
        while not self.over.is_set():
            answer = self._asked("launch", lambda: client.post("/api/v1/batches", json=body, headers=headers))
            if answer is not None and answer.status_code in (200, 201):
                self.batches[answer.json()["id"]] = Launched(kind, items)
                return
            if answer is not None and answer.status_code in (401, 403, 409, 422):
                raise AssertionError(answer.text)
            self.over.wait(1)

    def _asked(self, what: str, ask: Callable[[], httpx.Response]) -> httpx.Response | None:
        try:
            answer = ask()
        except httpx.HTTPError as error:
            self.answers[f"{what}: {type(error).__name__}"] += 1
            return None
        self.answers[f"{what}: {answer.status_code}"] += 1
        return answer

    def operate(self) -> None:
        """Look at each open batch, act on some, and retry what failed in one that is held or has ended."""
        with self._deployment.client() as client:
            while not self.over.is_set():
                for batch in self.open:
                    self._look(client, batch, self.batches[batch])
                    self.over.wait(0.1)
                self.over.wait(0.7)

    def _look(self, client: httpx.Client, batch: str, known: Launched) -> None:
        answer = self._asked("look", lambda: client.get(f"/api/v1/batches/{batch}"))
        if answer is None or answer.status_code != 200:
            return
        known.status = answer.json()["status"]
        known.ended = known.ended or (time.time() if known.is_over else 0.0)
        if known.status in ("held", "failed", "completed_with_failures", "timed_out"):
            self._retry(client, batch, known)
        elif known.status == "paused":
            self._act(client, batch, "resume")
        elif known.status == "running" and not known.action and self._random.random() < 1 / ONE_IN / 10:
            action = self._random.choice(ACTIONS)
            if self._act(client, batch, action) and action != "pause":
                known.action = action

    def _retry(self, client: httpx.Client, batch: str, known: Launched) -> None:
        if time.time() - known.retried_at < RETRY_EVERY or known.is_over:
            return
        known.retried_at, known.retries = time.time(), known.retries + 1
        status = "failed" if known.status == "held" else "unfinished"
        self._asked("retry", lambda: client.post(f"/api/v1/batches/{batch}/retry", json={"status": status}))

    def _act(self, client: httpx.Client, batch: str, action: str) -> bool:
        answer = self._asked(action, lambda: client.post(f"/api/v1/batches/{batch}/{action}", json={}))
        return answer is not None and answer.status_code == 202

    def close(self) -> None:
        """Delete the schedule, however often that takes."""
        with self._deployment.client() as client:
            for _ in range(60):
                answer = self._asked("delete", lambda: client.delete(f"/api/v1/schedules/{self.schedule}"))
                if answer is not None and answer.status_code in (204, 404):
                    return
                self.over.wait(1)
