"""The state of a flow has each result once, and gives all of them back by name."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from orchestration.contracts.flows import FlowState
from orchestration.contracts.step_results import NOTE_LENGTH, StoredResult
from orchestration.engine.flows.bounds import size_of
from orchestration.engine.flows.resumable import STATE_LIMIT

STATES = TypeAdapter(FlowState)
LARGE = {"text": "x" * 1_000_000}


def test_a_result_that_a_row_has_crosses_once_and_comes_back_by_name() -> None:
    done = {"root/first": LARGE, "root/loop/each": None, "root/loop/each.2": {"n": 2}}
    results = {"first": LARGE, "each": done["root/loop/each.2"], "gate": {"approved": False}, "nothing": None}
    sent = STATES.dump_json(FlowState.of(done, results, {"root/all": 1}, 7))
    assert len(sent) < 1_001_000
    received = STATES.validate_json(sent)
    assert (received.done, received.by_name, received.fan_outs, received.rows) == (done, results, {"root/all": 1}, 7)
    assert received.by_name["first"] is received.done["root/first"], "what changes at the row changes by name"


def test_a_state_of_before_has_its_results_by_name() -> None:
    assert STATES.validate_json('{"done": {"a": 1}, "results": {"first": 1}, "rows": 1}').by_name == {"first": 1}


def test_five_thousand_steps_with_large_results_fit_into_the_input_of_the_run_that_goes_on() -> None:
    stored = [StoredResult(f"{number:032x}", 5_000_000, "x" * NOTE_LENGTH).as_data() for number in range(5_000)]
    done: dict[str, Any] = {f"batch-0123456789ab/loop/step.{number}": each for number, each in enumerate(stored)}
    done["batch-0123456789ab/both"] = {"one": stored[1]}
    state = FlowState.of(done, {"step": stored[-1]}, {}, 5_000)
    assert size_of(state) < STATE_LIMIT
    received = STATES.validate_json(STATES.dump_json(state))
    assert StoredResult.of(received.by_name["step"]) == StoredResult(f"{4_999:032x}", 5_000_000)
    assert StoredResult.of(received.done["batch-0123456789ab/both"]["one"]) == StoredResult(f"{1:032x}", 5_000_000)


def test_a_state_leaves_out_the_fan_outs_that_are_not_recorded_and_what_is_around_them() -> None:
    done = {"r/first": 1, "r/loop": {"n": 1}, "r/loop/all": {"n": 2}, "r/loop/all.2": {"n": 3}, "r/looped": 4}
    results = {"loop": done["r/loop"], "all": done["r/loop/all.2"], "looped": done["r/looped"], "gate": 5}
    state = FlowState.of(done, results, {"r/loop/all": 1, "r/loop/all.2": 2}, 7)
    assert state.recorded({0, 1, 2}) is state
    left = state.recorded({0, 1})
    assert left.done.keys() == {"r/first", "r/loop/all", "r/looped"}
    assert left.by_name == {"looped": 4, "gate": 5}
    assert (left.fan_outs, left.rows) == ({"r/loop/all": 1}, 7)
