"""What the dashboard adds to a diagnosis: how many children wait, and that a late search is not an outage."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from dashboard.queries import diagnosis
from dashboard.queries.diagnosis import diagnosis_of
from orchestration.contracts.status import Status
from orchestration.diagnosis.findings import Finding, FindingCode, Severity
from orchestration.temporal.connection import TemporalSlow
from tests.support.builders import make_batch


class Gateway:
    """Answers a diagnosis with what a test gives it."""

    def __init__(self, answer: list[Finding] | Exception) -> None:
        self.answer = answer

    async def diagnose(self, *asked: Any) -> list[Finding]:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def said(monkeypatch: pytest.MonkeyPatch, operator: User, answer: list[Finding] | Exception) -> str:
    batch = make_batch(operator, 1_200)
    monkeypatch.setattr(diagnosis, "gateway", lambda: Gateway(answer))
    (finding,) = diagnosis_of(batch).findings
    return finding.what


def test_a_pause_counts_children_not_partitions(monkeypatch: pytest.MonkeyPatch, operator: User) -> None:
    paused = Finding(FindingCode.PAUSED, Severity.INFO, "batch-1", "The batch is paused.", "Resume it.")
    assert said(monkeypatch, operator, [paused]) == "The batch is paused. 1,200 children are pending."


def test_a_late_search_is_not_called_an_outage(monkeypatch: pytest.MonkeyPatch, operator: User) -> None:
    text = said(monkeypatch, operator, TemporalSlow("late"))
    assert text.startswith("Temporal answers, but slowly")


def test_the_record_of_a_batch_that_is_over_has_caught_up(monkeypatch: pytest.MonkeyPatch, operator: User) -> None:
    behind = Finding(FindingCode.CLOSED, Severity.INFO, "batch-1", "The dashboard has not caught up yet.", "Wait.")
    assert said(monkeypatch, operator, [behind]) == behind.what
    batch = make_batch(operator, 2)
    batch.status = Status.COMPLETED
    assert diagnosis_of(batch).findings == []
