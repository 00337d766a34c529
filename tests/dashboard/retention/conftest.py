"""Batches that have ended, for retention to delete."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from dashboard.models import Batch
from orchestration.contracts.status import Status
from tests.support.builders import MakeBatch, close_root, run_children, start_root

Ended = Callable[..., Batch]


@pytest.fixture
def ended(make_batch: MakeBatch) -> Ended:
    """Return a function that makes a batch of two items, the second of which failed; `days` ago, with other fields."""

    def make(days: float = 0, **fields: Any) -> Batch:
        batch = make_batch(2)
        start_root(batch)
        run_children(batch, {0: Status.COMPLETED, 1: Status.FAILED})
        close_root(batch)
        fields = {"closed_at": timezone.now() - timedelta(days=days), **fields}
        Batch.objects.filter(pk=batch.pk).update(**fields)
        batch.refresh_from_db()
        return batch

    return make
