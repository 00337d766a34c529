"""Large definitions travel compressed, and those of earlier releases are read as they are."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from orchestration.contracts.carried import DEFLATED, LARGE, MOST_CARRIED, carried, carried_bytes, whole

DATA = st.recursive(st.none() | st.integers() | st.text(max_size=50), lambda inner: st.lists(inner, max_size=5))


def definition(data: Any) -> dict[str, Any]:
    return {"kind": "steps", "steps": [{"name": "one", "run": {"processor": "simulate", "input": {"data": data}}}]}


@given(DATA, st.sampled_from([0, 1_000, LARGE]))
def test_what_is_carried_is_whole_again(data: Any, padding: int) -> None:
    made = definition([data, "é" * padding])
    assert whole(carried(made)) == made
    assert (DEFLATED in carried(made)) is (padding == LARGE)
    assert carried(made)["kind"] == "steps"


def test_a_megabyte_of_any_text_fits() -> None:
    choice = random.Random(7)
    for first, last in ((0x20, 0x7E), (0xA0, 0x7FF), (0x4E00, 0x9FFF), (0x10000, 0x10FFF0)):
        text = ""
        while len(text.encode()) < 1024**2 - 200_000:
            text += "".join(chr(choice.randint(first, last)) for _ in range(100_000))
        assert carried_bytes(definition(text.encode()[: 1024**2].decode(errors="ignore"))) < MOST_CARRIED
