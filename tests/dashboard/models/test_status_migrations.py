"""Stored batches get the statuses of the present model."""

from __future__ import annotations

from importlib import import_module

import pytest
from django.apps import apps

from dashboard.models import Batch
from orchestration.contracts.status import Status
from tests.support.builders import START, MakeBatch, close_root, run_children, start_root

pytestmark = pytest.mark.django_db


def stored_as(batch: Batch, **values: object) -> None:
    """Store a batch as an earlier release did."""
    Batch.objects.filter(pk=batch.pk).update(root_status="pending", halts=[], **values)


def ended(make_batch: MakeBatch, outcomes: dict[int, Status], root: Status = Status.COMPLETED) -> Batch:
    batch = make_batch(items=len(outcomes))
    start_root(batch)
    run_children(batch, outcomes)
    close_root(batch, root)
    return batch


def test_failed_is_told_from_partially_failed_and_present_halts_begin(make_batch: MakeBatch) -> None:
    failed, completed = Status.FAILED, Status.COMPLETED
    nothing, some = ended(make_batch, {0: failed, 1: failed}), ended(make_batch, {0: failed, 1: completed})
    canceled, stopped = ended(make_batch, {0: Status.CANCELED}), ended(make_batch, {0: completed, 1: failed}, failed)
    for batch in (nothing, some, canceled):
        stored_as(batch, status="completed_with_failures")
    stored_as(stopped)
    paused = make_batch()
    start_root(paused)
    stored_as(paused, status="paused", steered_at=START)

    statuses = import_module("dashboard.migrations.0015_what_failed")
    statuses.note_root_status(apps, None)
    statuses.tell_failed_from_partially_failed(apps, None)
    import_module("dashboard.migrations.0016_halts").begin_present_halts(apps, None)

    def now(batch: Batch) -> tuple[str, str]:
        fresh = Batch.objects.get(pk=batch.pk)
        return fresh.status, fresh.root_status

    assert [now(batch) for batch in (nothing, some, canceled, stopped, paused)] == [
        ("failed", "completed"),
        ("completed_with_failures", "completed"),
        ("canceled", "completed"),
        ("failed", "failed"),
        ("paused", "running"),
    ]
    assert Batch.objects.get(pk=paused.pk).halts == [[START.isoformat(), None]]
