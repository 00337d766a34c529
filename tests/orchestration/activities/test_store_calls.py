"""Calls of a store that is away: they wait, and a file goes on where it was interrupted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from orchestration.activities import store_calls
from orchestration.activities.store_calls import read_when_back, when_back
from orchestration.contracts.stores import StoreAway

WHOLE = b"0123456789"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_calls, "PAUSES", (0.0,))


@pytest.mark.parametrize("part", [1, 3, 4, 10])
def test_a_file_that_breaks_in_the_middle_comes_whole(part: int) -> None:
    tries = iter([0, 3, 5, 0, 9])

    def read(name: str) -> Iterator[bytes]:
        assert name == "file"
        breaks_at = next(tries, None)
        for first in range(0, len(WHOLE), part):
            if breaks_at is not None and first + part > breaks_at:
                raise StoreAway("cut")
            yield WHOLE[first : first + part]

    assert b"".join(read_when_back(read)("file")) == WHOLE


def test_what_is_gone_is_not_waited_for() -> None:
    def read(name: str) -> Iterator[bytes]:
        raise LookupError(name)
        yield b""

    with pytest.raises(LookupError):
        list(read_when_back(read)("file"))


async def test_a_call_is_made_until_the_store_is_back() -> None:
    answers = iter((StoreAway("1"), StoreAway("2"), None))

    async def call() -> int:
        answer = next(answers)
        if answer is not None:
            raise answer
        return 3

    assert await when_back(call) == 3
