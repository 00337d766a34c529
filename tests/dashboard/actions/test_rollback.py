"""What a rollback undoes."""

from __future__ import annotations

import pytest

from dashboard.actions import rollback
from dashboard.actions.rollback import rollback_input
from orchestration.contracts.fan_out import FanOutInput
from orchestration.contracts.status import Status
from tests.support.builders import MakeBatch, run_children, start_root

pytestmark = pytest.mark.django_db


def test_more_children_than_an_input_may_name_are_rolled_back_in_parts_the_last_first(
    make_batch: MakeBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollback, "MOST_CHILDREN", 3)
    batch = make_batch(5)
    start_root(batch)
    run_children(batch, dict.fromkeys(range(5), Status.COMPLETED))
    root, number = rollback_input(batch)
    assert isinstance(root, FanOutInput)
    assert (root.children, number) == ([2, 3, 4], 3)
