"""Processors: their description, the context of an item, and their execution on items."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

from pydantic import BaseModel, ValidationError

from orchestration.processors.credentials import masked_credentials, refuse_credentials
from orchestration.processors.function_signature import NoParameters, Signature
from orchestration.processors.own_loops import processor_loops
from orchestration.processors.parameters import read_parameters
from orchestration.processors.raised import Outcome, contained, exception_of, leaves_of, original_of
from orchestration.processors.secret_scopes import SecretNotAllowed, processing
from orchestration.processors.threads import processor_threads
from orchestration.processors.uploads import Upload
from orchestration.processors.validation import guarded, validated, without_input
from orchestration.processors.worker_loop import at_work
from orchestration.processors.worker_setup import Setup, resource_of

ITEMS_PER_CALL = 100
"""Default for `together`: items per call of a function that takes many."""
Compensation = Callable[[Any, Any, Any, "ItemContext"], Awaitable[None]]
"""Undoes an item; called with the item, the parameters, the item's result (as data), and its context."""

Estimate = Callable[[Any], float]
"""Returns about how many seconds an item takes; called with the parameters, for the launch form."""

Report = Callable[[Iterable[Any]], Mapping[str, Any]]
"""Summarises a batch in its report; called with the results of its completed items (as data)."""


@dataclass(slots=True)
class _Cancellation:
    """Flag that asks an item to stop. Set by one thread and polled by another."""

    is_requested: bool = False


@dataclass(frozen=True)
class ItemContext:
    """Context of an item: `attempt` counts from 1 over all runs of the child, `batch` is the batch's id.

    `idempotency_key` is the same for all attempts and retries of the same work, and for no other work, so that a remote
    system can recognise duplicates. `resource` is what the processor's setup returned.
    """

    key: str
    index: int
    attempt: int
    report: Callable[[str], None] = field(default=lambda text: None, compare=False)
    idempotency_key: str = ""
    batch: str = ""
    resource: Any = field(default=None, compare=False)
    waiting: Callable[[], AbstractContextManager[None]] = field(default=nullcontext, compare=False)
    """Context manager that stops the clock of the item's timeout, to wait for a slot or a rate limit."""
    _cancellation: _Cancellation = field(default_factory=_Cancellation, compare=False)

    def fields(self, item: BaseModel) -> dict[str, Any]:
        """Return the fields for templates: those of an item, and its key and index."""
        return {"key": self.key, "index": self.index} | item.model_dump()

    def progress(self, done: float, total: float | None = None, note: str = "") -> None:
        """Report the progress of a long item, shown within seconds. May be called often, and from any thread."""
        share = f"{done:,} of {total:,}" if total is not None else f"{done:,}"
        self.report(f"{share} {note}".strip())

    @property
    def is_canceled(self) -> bool:
        """Whether to stop: for plain functions, which cannot be interrupted. Async ones get asyncio.CancelledError."""
        return self._cancellation.is_requested

    def cancel(self) -> None:
        """Ask a plain function to stop."""
        self._cancellation.is_requested = True


@dataclass(frozen=True)
class Processor:
    """A kind of work: its function and signature, its options, and its texts on the launch page.

    `example` is input as a person would paste it, in the format `example_format` ("lines", "csv", "jsonl", "count").
    `key` names the field of an item that is its business key, `together` the number of items per call of a function
    that takes many. With a `child_workflow` each child is a workflow of that type with one item, and the function
    returns its DelegatedWorkflow. With `then` the processor is the first of two stages: the processor of that name gets
    the results of the items that pass, with the same parameters. With `own_loop` its coroutines run in an event loop of
    the processor's own, otherwise in that of the worker, which they must never block.
    """

    name: str
    title: str
    summary: str
    function: Callable[..., Any]
    signature: Signature
    non_retryable: tuple[type[BaseException], ...] = ()
    compensation: Compensation | None = None
    setup: Setup | None = None
    report: Report | None = None
    key: str = ""
    together: int = ITEMS_PER_CALL
    icon: str = "cube"
    example: str = ""
    example_format: str = "lines"
    default_plan: Mapping[str, Any] = field(default_factory=dict)
    child_workflow: str = ""
    then: str = ""
    own_loop: bool = True
    estimate: Estimate | None = None

    @property
    def item_model(self) -> type[BaseModel]:
        """Model that validates each item."""
        return self.signature.item.model

    @property
    def parameters_model(self) -> type[BaseModel]:
        """Model that validates parameters, and from which the launch form is made."""
        return self.signature.parameters.model if self.signature.parameters is not None else NoParameters

    @property
    def result_model(self) -> type[BaseModel]:
        """Model of the results, whose fields are their columns."""
        return self.signature.result_model

    @property
    def place(self) -> str:
        """Source file and name of its function."""
        return f"{inspect.getsourcefile(self.function)}: {self.function.__qualname__}"

    def validate_item(self, data: Mapping[str, Any]) -> BaseModel:
        """Return an item as its model. Raises pydantic.ValidationError, whatever a validator raised."""
        item = validated(self.item_model, data)
        guarded(self.item_model, lambda: self.signature.item.make(item))
        return item

    def validate_parameters(self, data: Mapping[str, Any]) -> BaseModel:
        """Return parameters as their model.

        Raises pydantic.ValidationError, whatever a validator raised, without the data: viewers read it with a batch.
        """
        try:
            parameters = read_parameters(self.parameters_model, data)
        except ValidationError as error:
            raise without_input(error) from None
        if self.signature.parameters is not None:
            make = self.signature.parameters.make
            guarded(self.parameters_model, lambda: make(parameters))
        return parameters

    def accept_parameters(self, data: Mapping[str, Any], given: Collection[str] | None = None) -> BaseModel:
        """Return parameters that a person gives, which are stored: none of those `given` may contain a credential.

        Raises pydantic.ValidationError.
        """
        parameters = self.validate_parameters(data)
        refuse_credentials(parameters, given)
        return parameters

    def shown_parameters(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return stored parameters as people see them: what looks like a credential is masked."""
        return masked_credentials(self.parameters_model, data)

    def bind(self, parameters: Mapping[str, Any]) -> BoundProcessor:
        """Bind the processor to validated parameters. Raises pydantic.ValidationError."""
        return BoundProcessor(self, self.validate_parameters(parameters))


@dataclass(frozen=True)
class BoundProcessor:
    """A processor with the parameters of one batch."""

    processor: Processor
    parameters: BaseModel

    async def run(self, data: Mapping[str, Any], context: ItemContext) -> Any:
        """Process one item and return its result as JSON-able data. Raises whatever the function raises."""
        if self.processor.signature.takes_many:
            result = (await self.run_many([data], [context]))[0]
            if isinstance(result, Exception):
                raise result
            return result
        with contained():
            return self.processor.signature.dump(await self._call(self._item(data), [context]))

    async def run_many(self, data: Sequence[Mapping[str, Any]], contexts: Sequence[ItemContext]) -> list[Any]:
        """Process items in one call; return for each its result as JSON-able data, or the exception it failed with.

        Raises whatever the function raises for all of them.
        """
        found: list[Any] = [Outcome.of(self._item, each).value_or_error for each in data]
        places = [place for place, item in enumerate(found) if not isinstance(item, Exception)]
        if places:
            with contained():
                results = await self._call([found[place] for place in places], [contexts[place] for place in places])
            if not isinstance(results, list | tuple) or len(results) != len(places):
                count = f"{len(results)}" if isinstance(results, list | tuple) else type(results).__name__
                raise ValueError(f"Expected {len(places)} results, one per item, but got {count}.")
            for place, result in zip(places, results, strict=True):
                found[place] = self._result_of_many(result)
        return found

    def _result_of_many(self, result: Any) -> Any:
        """Return one result of several as data, or the exception that it is or that it makes."""
        if isinstance(result, BaseException):
            return exception_of(result)
        return Outcome.of(self.processor.signature.dump, result).value_or_error

    async def undo(self, data: Mapping[str, Any], result: Any, context: ItemContext) -> None:
        """Compensate an item that completed. Raises whatever the compensation raises."""
        compensation = self.processor.compensation
        assert compensation is not None

        async def compensate() -> None:
            (given,) = await self._with_resource([context])
            await compensation(self._item(data), self._given_parameters, result, given)

        with contained():
            await self._in_loop(compensate, [context])

    def may_retry(self, error: Exception) -> bool:
        """Whether to make another attempt: not for an invalid item, nor for errors that the processor rules out."""
        final: tuple[type[BaseException], ...] = (ValidationError, SecretNotAllowed, *self.processor.non_retryable)
        return not any(isinstance(each, final) for each in (original_of(error), *leaves_of(error)))

    async def _call(self, item: Any, contexts: Sequence[ItemContext]) -> Any:
        """Call the function in a loop or, a plain one, in a thread of its processor, so that it blocks nothing else."""
        await self._fetch_uploads(contexts[0])
        if self._is_async:

            async def call() -> Any:
                return await self.processor.function(*self._arguments(item, await self._with_resource(contexts)))

            return await self._in_loop(call, contexts)
        if self.processor.setup is not None:
            contexts = await self._in_loop(partial(self._with_resource, contexts), contexts)
        function = partial(self.processor.function, *self._arguments(item, contexts))
        try:
            with processing(self.processor.name):  # the thread inherits it
                return await processor_threads().run(self.processor.name, function, contexts[0].waiting)
        except asyncio.CancelledError:
            for each in contexts:
                each.cancel()
            raise

    async def _in_loop(self, work: Callable[[], Awaitable[Any]], contexts: Sequence[ItemContext]) -> Any:
        async def named() -> Any:
            with processing(self.processor.name):
                return await work()

        if not self.processor.own_loop:
            with at_work(self.processor.name, tuple(each.report for each in contexts)):
                return await named()
        source = inspect.getsourcefile(self.processor.function) or ""
        return await processor_loops().run(self.processor.name, source, named, [each.report for each in contexts])

    def _arguments(self, item: Any, contexts: Sequence[ItemContext]) -> tuple[Any, ...]:
        signature = self.processor.signature
        given = contexts if signature.takes_many else contexts[0]
        return signature.arguments(item, self._given_parameters, given)

    async def _fetch_uploads(self, context: ItemContext) -> None:
        """Fetch the uploads among the parameters in advance, since an async function must not block on them."""
        for upload in list(self._uploads):
            await processor_threads().run(self.processor.name, partial(getattr, upload, "path"), context.waiting)
        self._uploads.clear()

    @cached_property
    def _uploads(self) -> list[Upload]:
        return [value for _, value in self.parameters if isinstance(value, Upload)]

    @cached_property
    def _is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.processor.function)

    @cached_property
    def _given_parameters(self) -> Any:
        parameters = self.processor.signature.parameters
        return parameters.make(self.parameters) if parameters is not None else None

    def _item(self, data: Mapping[str, Any]) -> Any:
        return self.processor.signature.item.make(self.processor.validate_item(data))

    async def _with_resource(self, contexts: Sequence[ItemContext]) -> list[ItemContext]:
        if self.processor.setup is None:
            return list(contexts)
        resource = await resource_of(self.processor.setup)
        return [replace(each, resource=resource) for each in contexts]
