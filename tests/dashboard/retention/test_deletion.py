"""What is deleted with a batch, in which order, and who wins when somebody acts on it meanwhile."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from dashboard.accounts.audit import audited
from dashboard.actions import operations
from dashboard.actions.targets import Targets
from dashboard.database.deleting import Portions
from dashboard.errors import OperationError
from dashboard.models import (
    AuditEntry,
    Batch,
    BatchStatus,
    DeletedBatch,
    Item,
    Node,
    PruneRun,
    UnansweredCommand,
)
from dashboard.retention import deletion, runs, tables
from dashboard.retention.rules import Due, Policy
from dashboard.retention.summary import summary_of
from dashboard.retention.weight import Weight
from orchestration.contracts.status import Status
from tests.dashboard.retention.conftest import Ended
from tests.support.builders import MakeBatch, child_of, close_root, run_children, start_root

pytestmark = pytest.mark.django_db

AT_ONCE = timedelta(0)


def claimed(batch: Batch) -> bool:
    due = Due(batch.pk, "all", timezone.now())
    return deletion.claim(due, Weight(), Policy.now(AT_ONCE), "test")


def test_every_table_that_refers_to_a_batch_is_deleted_or_kept_on_purpose() -> None:
    deleted = {model for model, _ in tables.OF_A_BATCH}
    assert tables.referring() == deleted | set(tables.KEPT)


def test_a_batch_goes_with_all_that_is_its_own_and_leaves_audit_trail_and_summary(ended: Ended, operator: User) -> None:
    batch, other = ended(label="prices"), ended()
    Batch.objects.filter(pk=other.pk).update(keep=True)
    AuditEntry.objects.create(batch=batch, person=operator, action="pause")  # of before it had a name
    done = runs.prune("test", AT_ONCE)
    assert (done.batches, done.error, done.ended_at is not None) == (1, "", True)
    for model, field in tables.OF_A_BATCH:
        assert not model._default_manager.filter(**{field: batch.pk}).exists(), model
    assert not Batch.everything.filter(pk=batch.pk).exists()
    assert Item.objects.filter(batch=other).count() == 2
    names = AuditEntry.objects.filter(batch_id=batch.pk).order_by("pk").values_list("batch_name", flat=True)
    assert list(names) == [batch.pk, "prices"]
    kept = DeletedBatch.objects.get(pk=batch.pk)
    assert (kept.label, kept.status, kept.items["failed"], len(kept.durations)) == ("prices", batch.status, 1, 2)
    assert [each["error_type"] for each in kept.errors] == ["ServerError"]
    assert kept.deleted_at is not None
    assert kept.rows == 2 + 3 + 3


@pytest.mark.parametrize(
    "fields",
    [
        {"status": status}
        for status in (
            BatchStatus.PENDING,
            BatchStatus.SCHEDULED,
            BatchStatus.RUNNING,
            BatchStatus.PAUSED,
            BatchStatus.HELD,
        )
    ]
    + [{"keep": True}, {"children_running": 1}, {"children_pending": 1}, {"acted_at": "now"}],
)
def test_what_is_open_or_to_be_kept_or_was_just_acted_on_stays(ended: Ended, fields: dict[str, Any]) -> None:
    batch = ended(**{name: timezone.now() if value == "now" else value for name, value in fields.items()})
    assert runs.prune("test", AT_ONCE).batches == 0
    assert not claimed(batch)
    assert Batch.objects.filter(pk=batch.pk).exists()


def test_a_batch_of_which_a_command_has_no_answer_stays(ended: Ended) -> None:
    batch = ended()
    UnansweredCommand.objects.create(batch=batch, audit=batch.audit.all()[0], mark="m")
    assert not claimed(batch)


def test_whoever_comes_second_finds_that_the_other_came_first(ended: Ended, operator: User) -> None:
    first, second = ended(), ended()
    with audited(operator, first, "retry"):
        assert not claimed(first)
    assert claimed(second)
    with pytest.raises(OperationError) as refused:
        operations.retry(operator, second, Targets(status="failed"))
    assert refused.value.status_code in (404, 410)
    assert child_of(second, 1).status == Status.FAILED


def test_a_batch_that_changed_while_it_was_read_is_not_claimed(ended: Ended, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = ended()

    def changing(*given: Any) -> DeletedBatch:
        Batch.objects.filter(pk=batch.pk).update(revision=batch.revision + 1)
        return summary_of(*given)

    monkeypatch.setattr(deletion, "summary_of", changing)
    assert not claimed(batch)
    assert not DeletedBatch.objects.exists()


def test_a_run_that_was_killed_is_finished_by_the_next(ended: Ended, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = ended()

    class Killed(BaseException):
        pass

    def kill(*given: Any) -> int:
        raise Killed

    delete = Portions.delete
    left = [2]

    def some(portions: Portions, model: Any, keys: Any) -> int:
        left[0] -= 1
        return delete(portions, model, keys) if left[0] >= 0 else kill()

    with monkeypatch.context() as patched:
        patched.setattr(Portions, "delete", some)
        with pytest.raises(Killed):
            runs.prune("test", AT_ONCE)
    assert not Item.objects.filter(batch=batch).exists()
    assert Node.objects.filter(batch=batch).exists()
    assert not Batch.objects.filter(pk=batch.pk).exists()
    assert "Killed" in PruneRun.objects.get().error
    assert runs.prune("test", timedelta(days=1_000)).batches == 1
    assert not Batch.everything.filter(pk=batch.pk).exists()
    assert not Node.objects.filter(batch=batch.pk).exists()


def test_two_runs_at_once_are_one(ended: Ended) -> None:
    ended()
    PruneRun.objects.create(started_by="another", seen_at=timezone.now())
    with pytest.raises(runs.AlreadyRunning):
        runs.prune("test", AT_ONCE)
    PruneRun.objects.update(seen_at=timezone.now() - timedelta(hours=1))
    assert runs.prune("test", AT_ONCE).batches == 1


def test_nodes_go_before_those_above_them(make_batch: MakeBatch, small_partitions: None) -> None:
    batch = make_batch(9)
    start_root(batch)
    run_children(batch, dict.fromkeys(range(9), Status.COMPLETED))
    close_root(batch)
    above = deletion._parents(batch.pk)
    assert len(above) == 1 + 3
    assert not set(next(deletion._keys(Node, "batch", batch.pk))) & above
    assert runs.prune("test", AT_ONCE).batches == 1
    assert not Node.objects.filter(batch=batch.pk).exists()
