"""What processors raise: each error is the one that is shown, on its own item, and costs no other item anything."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from orchestration.errors.texts import text_of, visible
from orchestration.processors import registry
from orchestration.processors.raised import RETRY_AFTER_LIMIT, Raised, retry_after_of
from orchestration.processors.registry import processor
from orchestration.testing import Outcome, run_items


@pytest.fixture(autouse=True)
def own_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what these tests register out of the catalogue."""
    monkeypatch.setattr(registry, "_processors", dict(registry.registered()))


class Wordless(Exception):
    """Its text raises."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


class NoText(Exception):
    """Its text is None."""

    def __str__(self) -> str:
        return None  # type: ignore[return-value]


class Ended(BaseException):
    """No Exception."""


def _a_cancellation_of_its_own() -> None:
    raise asyncio.CancelledError


def _raising(error: BaseException | type[BaseException]) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


RAISED: dict[str, tuple[Callable[[], Any], str, str]] = {
    "no words": (_raising(Wordless), "Wordless", "Wordless"),
    "no text": (_raising(NoText), "NoText", "NoText"),
    "no Exception": (_raising(Ended("gone")), "Ended", "gone"),
    "exit": (lambda: sys.exit(3), "SystemExit", "3"),
    "interrupt": (_raising(KeyboardInterrupt), "KeyboardInterrupt", "KeyboardInterrupt"),
    "generator": (_raising(GeneratorExit), "GeneratorExit", "GeneratorExit"),
    "canceled": (_a_cancellation_of_its_own, "CancelledError", "CancelledError"),
    "stop": (_raising(StopIteration("end")), "StopIteration", "end"),
    "stop async": (_raising(StopAsyncIteration), "StopAsyncIteration", "StopAsyncIteration"),
    "own timeout": (_raising(TimeoutError), "TimeoutError", "TimeoutError"),
    "own timeout with text": (_raising(TimeoutError("of a socket")), "TimeoutError", "of a socket"),
    "group": (
        _raising(ExceptionGroup("two", [ValueError("one"), ExceptionGroup("in", [KeyError("k")])])),
        "ExceptionGroup",
        "two (2 sub-exceptions)\nValueError: one\nKeyError: 'k'",
    ),
    "group of exits": (
        _raising(BaseExceptionGroup("all", [SystemExit(2)])),
        "BaseExceptionGroup",
        "all (1 sub-exception)\nSystemExit: 2",
    ),
    "control characters": (
        _raising(ValueError("\x1b[31mred\u202e\x00\ud800")),
        "ValueError",
        r"\x1b[31mred\u202e\x00\ud800",
    ),
}


def _outcomes(function: Callable[..., Any], **plan: Any) -> list[Outcome]:
    return run_items(function, [{"value": each} for each in ("a", "b", "c")], item_attempts=1, **plan)


@pytest.mark.parametrize(("act", "kind", "message"), RAISED.values(), ids=list(RAISED))
@pytest.mark.parametrize("concurrency", [1, 3])
def test_whatever_is_raised_is_shown_on_its_item_alone(
    act: Callable[[], Any], kind: str, message: str, concurrency: int
) -> None:
    calls = list[str]()

    @processor(name="in_thread")
    def in_thread(item: str) -> str:
        calls.append(item)
        return act() or "" if item == "b" else "done"

    @processor(name="in_loop")
    async def in_loop(item: str) -> str:
        calls.append(item)
        await asyncio.sleep(0)
        return act() or "" if item == "b" else "done"

    for function in (in_thread, in_loop):
        a, b, c = _outcomes(function, item_concurrency=concurrency)
        assert (b.error_type, b.error) == (kind, message)
        assert a.result == c.result == "done"
    assert sorted(calls) == ["a", "a", "b", "b", "c", "c"]


@pytest.mark.parametrize("act", [each[0] for each in RAISED.values()], ids=list(RAISED))
def test_whatever_a_function_of_many_raises_fails_each_of_its_items_with_it(act: Callable[[], Any]) -> None:
    @processor
    def many(items: list[str]) -> list[str]:
        act()
        return items

    kinds = {each.error_type for each in _outcomes(many)}
    assert kinds == {kind for given, kind, _ in RAISED.values() if given is act}


class Total(BaseModel):
    """A declared result."""

    total: int


NOT_RESULTS: dict[str, Any] = {
    "an object": object(),
    "too deep": [],
    "a number without end": 10**6_000,
    "a returned exit": SystemExit(1),
    "nothing": None,
}
_deepest = NOT_RESULTS["too deep"]
for _ in range(5_000):
    _deepest.append([])
    _deepest = _deepest[0]


@pytest.mark.parametrize("bad", NOT_RESULTS.values(), ids=list(NOT_RESULTS))
def test_one_bad_result_of_many_fails_that_item_alone(bad: Any) -> None:
    @processor
    def many(items: list[str]) -> list[list[Any] | str | int | Exception]:
        return [bad if item == "b" else item for item in items]

    @processor
    def strict(items: list[str]) -> list[str | Exception]:
        return [bad if item == "b" else item for item in items]

    a, b, c = _outcomes(strict if bad is None else many)
    assert (a.result, c.result) == ("a", "c")
    assert b.error_type


def test_a_missing_return_is_an_error_where_a_result_is_declared() -> None:
    @processor
    def forgot(item: str) -> Total:  # type: ignore[return]
        Total(total=1)

    @processor
    def returns_nothing(item: str) -> None:
        return None

    @processor
    async def may_return_nothing(item: str) -> Total | None:
        return None

    outcome = _outcomes(forgot)[0]
    assert (outcome.error_type, "declares Total: a return is missing" in outcome.error) == ("NoResult", True)
    assert [each.error_type for each in _outcomes(returns_nothing) + _outcomes(may_return_nothing)] == [""] * 6


def test_errors_that_are_ruled_out_are_not_tried_again_within_a_group_either() -> None:
    calls = list[str]()

    @processor(non_retryable=(KeyError,))
    async def groups(item: str) -> str:
        calls.append(item)
        raise ExceptionGroup("two", [ValueError(), KeyError()])

    run_items(groups, [{"value": "a"}], item_attempts=3)
    run_items(groups, [{"value": "b"}], item_attempts=3, non_retryable="ValueError")
    assert calls == ["a", "b"]


class Busy(Exception):
    """Asks for a wait."""

    def __init__(self, retry_after: Any) -> None:
        self.retry_after = retry_after


class RaisingWait(Exception):
    """Its wait raises."""

    @property
    def retry_after(self) -> float:
        raise ValueError


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (Busy(5), 5),
        (Busy(10**10), RETRY_AFTER_LIMIT),
        (Busy(10**400), RETRY_AFTER_LIMIT),
        (Busy(float("inf")), RETRY_AFTER_LIMIT),
        (Busy(float("nan")), 0),
        (Busy(-1), 0),
        (Busy("soon"), 0),
        (RaisingWait(), 0),
        (ExceptionGroup("two", [ValueError(), Busy(7)]), 7),
        (Raised(SystemExit()), 0),
    ],
)
def test_what_an_error_asks_to_wait_is_bounded(error: BaseException, seconds: float) -> None:
    assert retry_after_of(error) == seconds


def test_texts_of_errors_are_visible_and_never_raise() -> None:
    assert visible("tab\tend\r\nfine ü 漢") == "tab\tend\nfine ü 漢"
    assert visible("\x9b1m\u2066x\u200b\r") == r"\x9b1m\u2066x\u200b\x0d"
    assert [text_of(each) for each in (Wordless(), NoText(), ValueError("x"))] == ["", "", "x"]


def test_an_invalid_item_is_not_tried_again() -> None:
    @processor
    def takes(item: int) -> int:
        return item

    (outcome,) = run_items(takes, [{"value": "x"}], item_attempts=3)
    assert (outcome.error_type, outcome.attempts) == (ValidationError.__name__, 1)
