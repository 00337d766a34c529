"""The activity of steps: one processor over one input. A step that ends its worker is noted, and has a limit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import timedelta
from functools import partial
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from orchestration.activities.begun_steps import noted_step
from orchestration.activities.inline_chunks import InlineChunks, Started
from orchestration.activities.step_results import StepResults
from orchestration.contracts.flows import StepInput
from orchestration.contracts.names import RUN_STEP_ACTIVITY, RUN_STEP_OVER_STORED_ACTIVITY
from orchestration.contracts.stores import StepStore
from orchestration.processors.catalogue import get_processor
from orchestration.processors.processor import BoundProcessor, ItemContext
from orchestration.processors.raised import failure_of_raised, message_of, retry_after_of
from orchestration.processors.secrets import mask
from orchestration.telemetry import log_context
from orchestration.telemetry.worker_metrics import step_attempts
from orchestration.temporal.heartbeat import heartbeating
from orchestration.temporal.lost_attempts import is_given_up


class StepRun:
    """A step at work: one call, which takes nothing more."""

    is_at_work = True

    def pause(self) -> None:
        """Do nothing."""

    resume = drain = hand_on = pause


class StepActivity:
    """Runs steps. `call` calls a function of the store in a thread, `alone` is held by one suspect of the process.

    Another attempt claims a step that is still at work among those `running`.
    """

    def __init__(
        self, store: StepStore, alone: asyncio.Lock, call: Callable[..., Awaitable[Any]], running: InlineChunks
    ) -> None:
        self._store, self._alone, self._call, self._running = store, alone, call, running
        self._results = StepResults(store, call)

    @activity.defn(name=RUN_STEP_OVER_STORED_ACTIVITY)
    async def run_step_over_stored(self, step: StepInput) -> Any:
        """Do what run_step does with parameters and data that need results from the store."""
        return await self.run_step(await self._results.filled(step))

    @activity.defn(name=RUN_STEP_ACTIVITY)
    async def run_step(self, step: StepInput) -> Any:
        """Run one processor over one input and return its result. Raises ApplicationError with the error's own type."""
        try:
            bound = get_processor(step.processor).bind(step.parameters)
        except Exception as error:  # a validator of its own may raise anything
            raise ApplicationError(message_of(error), type=type(error).__name__, non_retryable=True) from None
        key = step.idempotency_key or f"{step.batch_id}/{step.name}"
        name = f"{activity.info().workflow_run_id} {key}"
        started = self._running.claim(name) or Started.of(StepRun(), self._run(step, bound, key, name))
        async with heartbeating():
            return await self._running.result_of(name, started, is_given_up)

    async def _run(self, step: StepInput, bound: BoundProcessor, key: str, name: str) -> Any:
        info = activity.info()
        context = ItemContext(key=step.name, index=0, attempt=info.attempt, idempotency_key=key)
        async with self._noted(step, name):
            try:
                with log_context.bound(item=step.name, processor=step.processor):
                    result = mask(await bound.run(step.data, context))
            except Exception as error:
                step_attempts.labels(step.processor, info.task_queue, "failed").inc()
                # Not from the error: its message and stack would go to Temporal as well, unmasked.
                raise application_error(bound, error) from None
        step_attempts.labels(step.processor, info.task_queue, "completed").inc()
        return await self._results.kept(step, result)

    def _noted(self, step: StepInput, name: str) -> AbstractAsyncContextManager[None]:
        if not step.after_loss and activity.info().attempt == 1:
            return nullcontext()
        note, forget = partial(self._call, self._store.note_begun), partial(self._call, self._store.forget_begun)
        return noted_step(step.batch_id, name, self._alone, note=note, forget=forget)


def application_error(bound: BoundProcessor, error: Exception) -> ApplicationError:
    """Return what a processor raised as an error for Temporal, which waits as long as the error asks for."""
    failure, wait = failure_of_raised(error), retry_after_of(error)
    return ApplicationError(
        failure.message,
        type=failure.type,
        non_retryable=not bound.may_retry(error),
        next_retry_delay=timedelta(seconds=wait) if wait else None,
    )
