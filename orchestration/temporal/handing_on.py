"""Handing on: an activity that a stopping worker cancels ends as that of a lost worker does, and goes on elsewhere.

The SDK reports it as a failure of a kind of its own, which an item or a step without attempts left would have as its
result.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from orchestration.temporal.worker_loss import handed_on


class HandingOn(Interceptor):
    """For all activities of a worker; those that it is given are started anew by their workflows."""

    def __init__(self, started_anew: Collection[str] = ()) -> None:
        self._started_anew = frozenset(started_anew)

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002  SDK's
        """Return an interceptor that hands activities on."""
        return _HandingOn(next, self._started_anew)


class _HandingOn(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, started_anew: frozenset[str]) -> None:  # noqa: A002  SDK's
        super().__init__(next)
        self._started_anew = started_anew

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002  SDK's
        """Execute an activity; where its worker stops before it is done, raise what hands it on."""
        try:
            return await super().execute_activity(input)
        except asyncio.CancelledError:
            details, info = activity.cancellation_details(), activity.info()
            if details is None or not details.worker_shutdown or details.cancel_requested or info.is_local:
                raise
            raise handed_on(anew=info.activity_type in self._started_anew) from None
