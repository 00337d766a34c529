"""The sentence of the launch form: items, children, concurrency, a rough duration, queues and workers."""

from __future__ import annotations

import pytest

from dashboard.pages import launch_sentence
from dashboard.pages.launch_sentence import about
from orchestration.plan.layout import Layout
from orchestration.plan.plan import Plan


def said(
    monkeypatch: pytest.MonkeyPatch, plan: Plan, items: int, seconds: float | None, workers: int | None = 2
) -> str:
    monkeypatch.setattr(launch_sentence, "workers_of", lambda name: workers)
    layout = None if plan.paged else Layout.of(plan, items)
    return launch_sentence.launch_sentence(plan, layout, {"canopy"}, seconds)


def test_it_says_what_will_run(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (
        said(monkeypatch, Plan(window=10), 60, 3.3)
        == "60 items in 60 children, 10 at a time, about 20 s; 1 queue, 2 workers."
    )
    assert said(monkeypatch, Plan(), 1, None, 1) == "1 item in 1 child, 1 at a time; 1 queue, 1 worker."
    assert said(monkeypatch, Plan(), 3, None, None) == "3 items in 3 children, 3 at a time."
    paged = said(monkeypatch, Plan(paged=True, chunk_size=20), 0, 1)
    assert paged == "Items are counted as they are read, 50 children at a time; 1 queue, 2 workers."


def test_durations_are_as_rough_as_they_are_uncertain() -> None:
    assert [about(seconds) for seconds in (0, 4.4, 22, 58, 200, 7_000, 300_000)] == [
        "1 s",
        "4 s",
        "20 s",
        "1 min",
        "3 min",
        "2 h",
        "3 d",
    ]
