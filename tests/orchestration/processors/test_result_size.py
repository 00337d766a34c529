"""A result beyond the limit fails its item with a sentence, at once, and leaves the others alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pydantic import BaseModel

from orchestration.processors.registry import processor
from orchestration.processors.result_size import MAX_RESULT, RESULT_TOO_LARGE, size_failure
from orchestration.startup import CannotStart, prepare
from orchestration.testing import run_items


class Wanted(BaseModel):
    """How many characters a result is to have."""

    characters: int


@processor(name="result_of_a_size")
def of_a_size(item: Wanted) -> str:
    """Return a text."""
    return "x" * item.characters


@processor(name="results_of_a_size")
def of_sizes(items: list[Wanted]) -> list[str]:
    """Return texts."""
    return ["x" * item.characters for item in items]


@pytest.mark.parametrize("function", [of_a_size, of_sizes])
def test_a_result_that_is_too_large_fails_its_item_alone_and_is_not_tried_again(
    function: Callable[..., object],
) -> None:
    sizes = (10, 30 * 1024 * 1024, 256 * 1024 - 2, 256 * 1024 - 1)
    outcomes = run_items(function, [{"characters": size} for size in sizes], item_attempts=3)
    assert [outcome.error_type for outcome in outcomes] == ["", RESULT_TOO_LARGE, "", RESULT_TOO_LARGE]
    assert "31,457,282 bytes; at most 262,144 are kept" in outcomes[1].error
    assert [outcome.attempts for outcome in outcomes] == [1, 1, 1, 1]
    assert outcomes[1].result is None


def test_the_limit_is_set_where_workers_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MAX_RESULT, "10")
    assert size_failure("x" * 8) is None
    assert size_failure("x" * 9) is not None
    monkeypatch.setenv(MAX_RESULT, "much")
    with pytest.raises(CannotStart, match="much"):
        prepare()
