"""Activities that fail because the dashboard's own neighbours are away are tried again soon, whatever their policy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import wraps
from typing import ParamSpec, TypeVar

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from dashboard.server.outages import outage_of
from orchestration.errors.texts import first_line

P = ParamSpec("P")
R = TypeVar("R")

AGAIN_AFTER = timedelta(seconds=2)
AWAY = "Away"
"""Type of the error."""


def tried_again_soon(function: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    """Return an activity whose retry comes after AGAIN_AFTER where a neighbour is away: the backoff is for others.

    Benign for Temporal: the SDK would log a stack for each try.
    """

    @wraps(function)
    async def run(*given: P.args, **named: P.kwargs) -> R:
        try:
            return await function(*given, **named)
        except ApplicationError:
            raise
        except Exception as error:
            if outage_of(error) is None:
                raise
            reason = first_line(error)
            raise ApplicationError(
                reason, type=AWAY, next_retry_delay=AGAIN_AFTER, category=ApplicationErrorCategory.BENIGN
            ) from error

    return run
