"""A child that Temporal has completed and whose results the record has lost: it says so, and can be run again."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from dashboard.actions import child_requests, operations
from dashboard.actions.targets import UNFINISHED, Targets
from dashboard.chunk_store.store import DjangoChunkStore
from dashboard.live.state import lost_state
from dashboard.models import Batch, BatchStatus, Item, NodeStatus
from dashboard.projection.events import apply_events
from dashboard.projection.ledger import open_ledger
from dashboard.projection.lost_results import LOST_RUN
from dashboard.projection.settlement import settle
from dashboard.queries.error_groups import error_groups
from orchestration.contracts.chunks import ItemResult
from orchestration.contracts.messages import ChildrenAnswer
from orchestration.contracts.root_input import RootInput
from orchestration.contracts.status import RESULTS_LOST, Status
from orchestration.plan.choices import Execution
from tests.support.builders import MakeBatch, child_of, close_root, closed, root_of, run_children, start_root, started
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
    return ItemResult(batch.pk, index // 2, "run", index, 1, 0.1, {"n": index})


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


def test_a_root_below_which_workflows_have_no_row_has_failed_until_it_runs_again(restored: Batch) -> None:
    DjangoChunkStore().write_results([_result(restored, 3)])
    with open_ledger(restored.pk) as ledger:
        ledger.batch.unrecorded = 7
    restored.refresh_from_db()
    root = root_of(restored)
    assert (restored.status, root.status, root.error_type) == (BatchStatus.FAILED, Status.FAILED, RESULTS_LOST)
    assert root.error_message == "Completed in Temporal, but 7 of its workflows have no record here."
    said = lost_state(restored)
    assert said is not None
    assert (said["workflows"], said["children"], said["items"]) == (7, 0, 0)
    apply_events(restored.pk, [started(root, 2), closed(root, Status.COMPLETED, 2)])
    restored.refresh_from_db()
    assert (restored.status, restored.unrecorded, lost_state(restored)) == (BatchStatus.COMPLETED, 0, None)
    assert_consistent(restored.pk)


def test_what_is_no_workflow_has_completed_with_its_root_and_says_what_it_has_lost(make_batch: MakeBatch) -> None:
    batch = make_batch(items=4, chunk_size=2, execution=Execution.NO_CHILDREN)
    start_root(batch)
    apply_events(batch.pk, [started(child_of(batch, position)) for position in (0, 1)])
    DjangoChunkStore().write_results([_result(batch, index) for index in (0, 1, 2)])
    close_root(batch)
    batch.refresh_from_db()
    settle(batch.pk, batch.revision)
    batch.refresh_from_db()
    shown = [(child.status, child.error_type) for child in (child_of(batch, 0), child_of(batch, 1))]
    assert shown == [(Status.COMPLETED, ""), (Status.FAILED, RESULTS_LOST)]
    said = lost_state(batch)
    assert said is not None
    assert (said["children"], said["items"]) == (1, 1)
    assert_consistent(batch.pk)


def test_a_batch_says_since_when_how_much_is_lost(restored: Batch, logged_in: Client, make_batch: MakeBatch) -> None:
    said = logged_in.get(f"/api/v1/batches/{restored.pk}").json()["lost"]
    assert (said["children"], said["items"], said["workflows"]) == (1, 1, 0)
    assert restored.lost_at is not None
    assert said["since"][:19] == restored.lost_at.isoformat()[:19]
    assert logged_in.get(f"/api/v1/batches/{make_batch(items=1).pk}").json()["lost"] is None


def test_a_run_that_temporal_has_lost_is_said_and_a_watched_batch_has_no_results(make_batch: MakeBatch) -> None:
    batch = make_batch(items=2, chunk_size=1)
    start_root(batch)
    assert lost_state(batch) is None
    child = child_of(batch, 0)
    apply_events(batch.pk, [started(child), closed(child, Status.TERMINATED, failure=LOST_RUN)])
    close_root(batch, Status.TERMINATED, failure=LOST_RUN)
    batch.refresh_from_db()
    said = lost_state(batch)
    assert said is not None
    assert (said["children"], said["items"]) == (1, 1)
    assert_consistent(batch.pk)


def test_a_child_that_has_all_its_results_has_completed_although_its_root_was_terminated(
    make_batch: MakeBatch,
) -> None:
    batch = make_batch(items=4, chunk_size=2, execution=Execution.NO_CHILDREN)
    start_root(batch)
    apply_events(batch.pk, [started(child_of(batch, position)) for position in (0, 1)])
    DjangoChunkStore().write_results([_result(batch, index) for index in (2, 3)])
    close_root(batch, Status.TERMINATED)
    shown = [(child.status, child.error_type) for child in (child_of(batch, 0), child_of(batch, 1))]
    assert shown == [(Status.TERMINATED, "EndedWithParent"), (Status.COMPLETED, "")]
    assert_consistent(batch.pk)
