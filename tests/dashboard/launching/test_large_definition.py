"""A definition of nearly a megabyte: saved, launched, and run to its end."""

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


def test_a_saga_of_a_megabyte_runs_for_each_item(stack: Stack) -> None:
    steps = [
        {"name": f"part{number}", "processor": "simulate", "parameters": QUICK, "input": {"data": much()}}
        for number in range(4)
    ]
    version = save_definition(stack, large({"kind": "saga", "fan_out": True, "steps": steps}))
    batch_id = stack.launch(definition=version, items=[{"name": "a"}, {"name": "b"}])
    assert stack.wait_for(batch_id, "completed")["items"]["completed"] == 2
