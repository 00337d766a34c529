"""What a flow gives to Temporal fits."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from orchestration.engine.flows.bounds import PAYLOAD_LIMIT, bounded, check_input, check_result, size_of


def test_results_that_fit_are_returned_as_they_are() -> None:
    results = {"a": "x" * 1_000, "b": {"n": 1}}
    assert bounded(results) is results
    assert bounded(["anything else"]) == ["anything else"]


@pytest.mark.parametrize("letter", ["x", "ü", '"'])
def test_of_results_that_do_not_fit_the_largest_say_how_large_they_are(letter: str) -> None:
    results: dict[str, Any] = {f"s{number}": letter * 100_000 for number in range(24)} | {"small": {"n": 1}}
    kept = bounded(results)
    assert size_of(kept) <= PAYLOAD_LIMIT
    assert set(kept) == set(results)
    assert kept["small"] == {"n": 1}
    assert kept["s0"]["bytes"] == size_of(results["s0"])


def test_an_input_and_a_result_that_are_too_large_are_errors_with_a_size() -> None:
    for check, kind in ((check_input, "InputTooLarge"), (check_result, "ResultTooLarge")):
        check("step", "x" * 1_000_000)
        with pytest.raises(ApplicationError, match="step has 2,000,00") as raised:
            check("step", "x" * 2_000_000)
        assert (raised.value.type, raised.value.non_retryable) == (kind, True)
