"""What processors raise: kept apart from what is meant for Canopy itself, and described for a person.

An exception that is no Exception, such as SystemExit, would end more than its item. So whoever calls a processor's
function contains what it raises, and everything above sees exceptions only.
"""

from __future__ import annotations

import asyncio
import math
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from orchestration.contracts.status import Failure
from orchestration.errors.texts import named, text_of, visible
from orchestration.processors.secrets import mask

MESSAGE_LIMIT = 4_000
STACK_LIMIT = 8_000
LEAVES_SHOWN = 10

RETRY_AFTER_LIMIT = 3_600.0
"""Longest wait, in seconds, that the `retry_after` of an error is granted."""

_STOPPED = (StopIteration, StopAsyncIteration)


class Raised(Exception):
    """Carries what a processor raised and what may not leave a coroutine as itself, such as SystemExit."""

    def __init__(self, original: BaseException) -> None:
        super().__init__(original)
        self.original = original


@dataclass(frozen=True)
class Outcome:
    """What a call came to, carried from one thread to another."""

    value: Any = None
    error: BaseException | None = None

    @classmethod
    def of(cls, function: Callable[..., Any], *arguments: Any) -> Outcome:
        """Call a function. Raises nothing."""
        try:
            return cls(function(*arguments))
        except BaseException as error:
            return cls(error=error)

    def get(self) -> Any:
        """Return the value, or raise the error as an exception."""
        if self.error is not None:
            raise exception_of(self.error)
        return self.value

    @property
    def value_or_error(self) -> Any:
        """The value, or the error as an exception."""
        return self.value if self.error is None else exception_of(self.error)


@contextmanager
def contained() -> Iterator[None]:
    """Let the block raise exceptions only: any other BaseException as Raised.

    A cancellation of the running task passes; a CancelledError that nobody asked for is one that the block raised.
    """
    try:
        yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise Raised(error) from error
    except BaseException as error:
        raise exception_of(error) from error.__cause__


def exception_of(error: BaseException) -> Exception:
    """Return an error as an exception that may leave a coroutine."""
    if isinstance(error, Exception) and not isinstance(error, _STOPPED):
        return error
    return Raised(error)


def original_of(error: BaseException) -> BaseException:
    """Return what a processor raised, without what Canopy or Python has put around it."""
    if isinstance(error, Raised):
        return error.original
    cause = error.__cause__
    if isinstance(error, RuntimeError) and isinstance(cause, _STOPPED):
        return cause
    return error


def leaves_of(error: BaseException) -> list[BaseException]:
    """Return the errors that a group consists of, whatever its depth; otherwise the error alone."""
    found, left = list[BaseException](), [original_of(error)]
    while left:
        each = left.pop()
        if isinstance(each, BaseExceptionGroup):
            left += reversed([original_of(inner) for inner in each.exceptions])
        else:
            found.append(each)
    return found


def retry_after_of(error: BaseException) -> float:
    """Return how many seconds an error asks to wait before another attempt, at most RETRY_AFTER_LIMIT."""
    asked = [_asked_by(each) for each in {id(each): each for each in (original_of(error), *leaves_of(error))}.values()]
    return min(max(asked), RETRY_AFTER_LIMIT)


def _asked_by(error: BaseException) -> float:
    with suppress(Exception):
        seconds = getattr(error, "retry_after", None)
        if isinstance(seconds, timedelta):
            seconds = seconds.total_seconds()
        if isinstance(seconds, int) and seconds > RETRY_AFTER_LIMIT:
            return RETRY_AFTER_LIMIT
        if isinstance(seconds, int | float) and not math.isnan(seconds):
            return max(0.0, float(seconds))
    return 0.0


def failure_of_raised(error: BaseException) -> Failure:
    """Return what a processor raised as a failure: its type, text and stack, bounded, visible and without secrets."""
    original = original_of(error)
    return Failure(_name_of(original)[:200], message_of(original), _stack_of(original)[-STACK_LIMIT:])


def message_of(error: BaseException) -> str:
    """Return an error's text, for a group with that of each error in it; never empty."""
    original = original_of(error)
    text = text_of(original)
    if isinstance(original, BaseExceptionGroup):
        leaves = leaves_of(original)
        text = "\n".join([text, *map(named, leaves[:LEAVES_SHOWN])])
    return str(mask(text))[:MESSAGE_LIMIT] or _name_of(original)


def _name_of(error: BaseException) -> str:
    return visible(str(type(error).__name__))


def _stack_of(error: BaseException) -> str:
    try:
        return str(mask(visible("".join(traceback.format_exception(error)))))
    except Exception:
        return ""
