"""A definition of nearly a megabyte: saved, launched, retried, and run to its end."""

from __future__ import annotations

import json
import random
import string

from orchestration.contracts.carried import LARGE
from orchestration.definitions.models import MAX_TEXT_BYTES
from tests.support.definition_texts import save_definition
from tests.support.stack import Stack

PART = 200_000
QUICK = {"seconds_from": 0, "seconds_to": 0}


def much() -> str:
    """Return text that cannot be compressed much."""
    return "".join(random.Random(7).choices(string.printable[:94], k=PART))


def large(definition: dict[str, object]) -> str:
    """Return the text of a definition, with a comment up to the last byte that it may have."""
    text = json.dumps(definition, indent=1)
    assert LARGE < len(text) < MAX_TEXT_BYTES
    return text + "\n" + "#" * (MAX_TEXT_BYTES - len(text) - 1)


def test_a_flow_of_a_megabyte_goes_on_where_it_failed(stack: Stack) -> None:
    steps: list[dict[str, object]] = [
        {"name": f"part{number}", "run": {"processor": "simulate", "parameters": QUICK, "input": {"data": much()}}}
        for number in range(4)
    ]
    failing = {
        "processor": "simulate",
        "parameters": QUICK | {"fail_first_attempts": 1},
        "plan": {"item_attempts": 1, "failure_policy": "tolerate", "tolerated_percent": 50},
        "items": [{"id": 1}],
    }
    version = save_definition(stack, large({"kind": "steps", "steps": [*steps, {"name": "last", "fan_out": failing}]}))
    batch_id = stack.launch(definition=version)
    stack.wait_for(batch_id, "failed")
    answer = stack.api("POST", f"/batches/{batch_id}/retry", {"status": "failed"}).json()
    assert answer["goes_on"], answer
    stack.wait_for(batch_id, "completed")
    attempts = {node["label"]: node["attempt"] for node in stack.nodes(batch_id, kind="step")}
    assert attempts == {f"part{number}": 1 for number in range(4)}


def test_a_saga_of_a_megabyte_runs_for_each_item(stack: Stack) -> None:
    steps = [
        {"name": f"part{number}", "processor": "simulate", "parameters": QUICK, "input": {"data": much()}}
        for number in range(4)
    ]
    version = save_definition(stack, large({"kind": "saga", "fan_out": True, "steps": steps}))
    batch_id = stack.launch(definition=version, items=[{"name": "a"}, {"name": "b"}])
    assert stack.wait_for(batch_id, "completed")["items"]["completed"] == 2
