"""The input with which a root is started, and started again."""

from __future__ import annotations

import pytest

from dashboard.launching.root_input import fan_out_input
from orchestration.contracts.status import Status
from tests.support.builders import MakeBatch, run_children, start_root

pytestmark = pytest.mark.django_db


def test_a_retry_asks_for_approval_until_a_child_has_run(make_batch: MakeBatch) -> None:
    batch, other = make_batch(items=2, approval=True), make_batch(items=2)
    start_root(batch)
    assert not fan_out_input(batch).approved
    assert fan_out_input(other).approved
    run_children(batch, {0: Status.FAILED})
    assert fan_out_input(batch).approved
