"""A child that Temporal has completed and whose results the record has lost: it says so, and can be run again."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from dashboard.actions import child_requests, operations
from dashboard.actions.targets import UNFINISHED, Targets
from dashboard.chunk_store.store import DjangoChunkStore
from dashboard.models import Batch, BatchStatus, Item, NodeStatus
from dashboard.projection.events import apply_events
from dashboard.projection.lost_results import RESULTS_LOST
from dashboard.queries.error_groups import error_groups
from orchestration.contracts.chunks import ItemResult
from orchestration.contracts.messages import ChildrenAnswer
from orchestration.contracts.root_input import RootInput
from orchestration.contracts.status import Status
from tests.support.builders import MakeBatch, child_of, close_root, closed, run_children, start_root, started
from tests.support.oracle import assert_consistent

pytestmark = pytest.mark.django_db


@pytest.fixture
def restored(make_batch: MakeBatch) -> Batch:
    """A batch of two children of two items, which Temporal completed; the second one has one result left."""
    batch = make_batch(items=4, chunk_size=2)
    start_root(batch)
    run_children(batch, {0: Status.COMPLETED})
    child = child_of(batch, 1)
    DjangoChunkStore().write_results([_result(batch, 2)])
    apply_events(batch.pk, [started(child), closed(child, Status.COMPLETED)])
    close_root(batch)
    batch.refresh_from_db()
    return batch


def _result(batch: Batch, index: int) -> ItemResult:
    return ItemResult(batch.pk, 1, "run", index, 1, 0.1, {"n": index})


def test_a_batch_says_how_many_results_it_has_lost_and_lets_them_run_again(restored: Batch) -> None:
    assert (restored.status, restored.items_completed) == (BatchStatus.COMPLETED_WITH_FAILURES, 3)
    child = child_of(restored, 1)
    said = "Completed in Temporal, but 1 of 2 items have no result here."
    assert (child.status, child.error_type, child.error_message) == (Status.FAILED, RESULTS_LOST, said)
    assert [(group.error_type, group.children) for group in error_groups(restored).shown] == [(RESULTS_LOST, 1)]
    shown = Item.objects.filter(batch=restored).order_by("index").with_shown_status()
    completed = NodeStatus.COMPLETED
    assert [vars(item)["shown_status"] for item in shown] == [completed, completed, completed, NodeStatus.FAILED]
    assert [node.position for node in Targets(status=UNFINISHED).children(restored)] == [1]
    assert_consistent(restored.pk)


def test_a_retry_says_which_children_have_lost_results_whatever_their_root_knows(
    restored: Batch, operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Gateway:
        """Accepts all."""

        lost: list[int] | None = None

        async def retry(self, root: RootInput, parents: dict[int, list[str]], **given: Any) -> ChildrenAnswer:
            Gateway.lost = given["lost"]
            return ChildrenAnswer(accepted=list(parents))

    monkeypatch.setattr(child_requests, "gateway", Gateway)
    outcome = operations.retry(operator, restored, Targets(status=UNFINISHED))
    assert (outcome.accepted, Gateway.lost) == ([child_of(restored, 1).pk], [1])


def test_results_that_arrive_after_all_complete_the_child(restored: Batch) -> None:
    DjangoChunkStore().write_results([_result(restored, 3)])
    restored.refresh_from_db()
    assert restored.status == BatchStatus.COMPLETED
    assert child_of(restored, 1).error_type == ""
    assert_consistent(restored.pk)
