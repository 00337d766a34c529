"""The state of a flow has each result once, and gives all of them back by name."""

from __future__ import annotations

from pydantic import TypeAdapter

from orchestration.contracts.flows import FlowState

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
