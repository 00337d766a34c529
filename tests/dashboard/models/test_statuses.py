"""One model of status: what parents and batches are called by what is below them."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from django.utils.translation import override

from dashboard.models import Batch, Node
from dashboard.models.statuses import held_words, outcome_of, status_of_parent, status_words
from dashboard.models.tallies import batch_status
from orchestration.contracts.events import NodeKind
from orchestration.contracts.status import Status


def counts(**given: int) -> dict[str, int]:
    return {status.value: 0 for status in Status} | given


@dataclass(frozen=True)
class Ended:
    """Children of a parent that ended normally, what it is called, and in which words."""

    children: dict[str, int]
    items: int
    status: str
    words: str


ENDED = (
    Ended(counts(), 0, "completed", "Completed"),
    Ended(counts(completed=6), 6, "completed", "Completed"),
    Ended(counts(failed=6), 0, "failed", "Failed"),
    Ended(counts(timed_out=1, skipped=2), 0, "failed", "Failed"),
    Ended(counts(terminated=1, canceled=2), 0, "failed", "Failed"),
    Ended(counts(failed=1), 9, "completed_with_failures", "Partially failed"),
    Ended(counts(failed=1, completed=5, skipped=3), 5, "completed_with_failures", "Partially failed"),
    Ended(counts(completed=1_200, skipped=3_000), 1_200, "completed_with_failures", "Completed, 3,000 skipped"),
    Ended(counts(completed=4, canceled=1, skipped=2), 4, "completed_with_failures", "Completed, 1 canceled, 2 skipped"),
    Ended(counts(canceled=3, skipped=1), 0, "canceled", "Canceled"),
    Ended(counts(skipped=4), 0, "completed_with_failures", "Skipped"),
)


@pytest.mark.parametrize("ended", ENDED, ids=lambda ended: ended.words)
def test_what_ended_normally_is_called_by_what_is_below_it(ended: Ended) -> None:
    assert outcome_of(ended.children, ended.items) == ended.status
    assert status_words(ended.status, ended.children) == ended.words
    assert status_of_parent("completed", ended.children, ended.items, "running") == ended.status
    batch = Batch(child_count=sum(ended.children.values()), items_completed=ended.items)
    for status, number in ended.children.items():
        setattr(batch, f"children_{status}", number)
    assert batch_status(batch, Node(kind=NodeKind.ROOT, status="completed")) == ended.status


@pytest.mark.parametrize(
    ("own", "children", "batch", "shown"),
    [
        ("running", counts(failed=2, running=1), "running", "running"),
        ("running", counts(pending=4), "paused", "paused"),
        ("running", counts(failed=4), "held", "held"),
        ("pending", counts(pending=4), "paused", "pending"),
        ("completed", counts(completed=4), "paused", "completed"),
        ("completed", counts(completed=3, running=1), "running", "running"),
        ("failed", counts(completed=3, failed=1), "failed", "failed"),
        ("terminated", counts(completed=3, terminated=1), "terminated", "terminated"),
    ],
)
def test_an_open_parent_is_halted_with_its_batch_and_one_that_was_stopped_keeps_its_end(
    own: str, children: dict[str, int], batch: str, shown: str
) -> None:
    assert status_of_parent(own, children, children["completed"], batch) == shown


@pytest.mark.parametrize(
    ("reason", "german"),
    [
        ("1,012 of 60,000 children failed.", "1.012 von 60.000 Kindern fehlgeschlagen."),
        ("1 of 1 children failed.", "1 von 1 Kind fehlgeschlagen."),
        ("13 of 60 children failed, 10 tolerated.", "13 von 60 Kindern fehlgeschlagen, 10 toleriert."),
        ("Release 7 of 9?", "Release 7 of 9?"),
    ],
)
def test_what_holds_a_batch_is_said_in_the_language_of_its_reader(reason: str, german: str) -> None:
    with override("de"):
        assert held_words(reason) == german
