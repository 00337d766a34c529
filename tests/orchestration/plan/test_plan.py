"""Plan and layout: properties that hold for any plan and any number of items."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestration.plan.layout import MAX_FLAT_CHILDREN, PARTITION_SIZE, Layout, share_window
from orchestration.plan.plan import Plan
from orchestration.plan.validation import warnings
from orchestration.processors.raised import RETRY_AFTER_LIMIT

SIZES = st.integers(1, 5_000)


@given(SIZES, st.integers(1, 2_000_000))
def test_chunks_cover_every_item_once(chunk_size: int, items: int) -> None:
    layout = Layout.of(Plan(chunk_size=chunk_size), items)
    first, last = layout.chunk(0), layout.chunk(layout.children - 1)
    assert first.offset == 0
    assert last.offset + last.length == items
    assert 0 < last.length <= chunk_size
    if layout.children > 1:
        assert layout.chunk(1).offset == first.length


@given(st.integers(1, 1_000_000))
def test_partitions_cover_every_child_once_and_none_is_too_large(children: int) -> None:
    layout = Layout.of(Plan(chunk_size=1), children)
    if children <= MAX_FLAT_CHILDREN:
        assert layout.partitions == 0
        return
    ranges = [layout.partition_range(0), layout.partition_range(layout.partitions - 1)]
    assert ranges[0].start == 0
    assert ranges[-1].stop == children
    assert all(0 < len(each) <= PARTITION_SIZE for each in ranges)
    assert layout.partition_of(children - 1) == layout.partitions - 1


@given(st.integers(1, 1_000), st.integers(1, 4))
def test_the_shares_of_a_window_add_up_to_it(window: int, partitions: int) -> None:
    shares = share_window(window, partitions)
    assert sum(shares) == window
    assert max(shares) - min(shares) <= 1


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"window": 0}, "window"),
        ({"chunk_size": 0}, "chunk_size"),
        ({"tolerated_percent": 130, "failure_policy": "tolerate"}, "tolerated_percent"),
        ({"item_attempts": 0}, "item_attempts"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_a_plan_that_cannot_work_is_refused_at_its_field(wrong: dict[str, object], field: str) -> None:
    with pytest.raises(ValidationError) as raised:
        Plan.model_validate(wrong)
    assert raised.value.errors()[0]["loc"] == (field,)


def test_tolerate_needs_exactly_one_limit_and_the_others_none() -> None:
    for wrong in (
        {"failure_policy": "tolerate"},
        {"failure_policy": "tolerate", "tolerated_failures": 1, "tolerated_percent": 1},
        {"tolerated_failures": 1},
    ):
        with pytest.raises(ValidationError):
            Plan.model_validate(wrong)


def test_a_failure_limit_follows_from_the_policy() -> None:
    assert Plan().failure_limit(100) is None
    assert Plan(failure_policy="fail_fast").failure_limit(100) == 0
    assert Plan(failure_policy="tolerate", tolerated_failures=7).failure_limit(100) == 7
    assert Plan(failure_policy="tolerate", tolerated_percent=2.5).failure_limit(100) == 2


def test_what_is_unwise_is_said() -> None:
    assert any("chunk size" in each for each in warnings(Plan(), 50_000))
    assert any("one after another" in each for each in warnings(Plan(window=1), 10))
    assert warnings(Plan(chunk_size=100), 10_000) == []


def test_what_names_no_type_of_error_is_refused() -> None:
    with pytest.raises(ValidationError, match="Enter error types separated by commas"):
        Plan(non_retryable="Key Error; x")


def test_what_an_error_asks_to_wait_fits_into_the_time_of_its_chunk() -> None:
    plan = Plan(item_timeout=1, item_attempts=5, item_backoff=0)
    waits = timedelta(seconds=RETRY_AFTER_LIMIT * (plan.item_attempts - 1))
    assert plan.chunk_deadline(1) >= plan.chunk_timeout(1) + waits
