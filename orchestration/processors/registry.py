"""Registry: what makes one typed function a processor, and the catalogue of those this process knows."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import os
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any, get_type_hints

from pydantic import BaseModel, ValidationError

BUILTIN_MODULES = ("orchestration.processors.simulate", "orchestration.processors.http_request")

Function = Callable[[Any, Any, "ItemContext"], Any]
Compensation = Callable[[Any, Any, Any, "ItemContext"], Awaitable[None]]
"""What undoes an item: given the item, the parameters, the result that it had (as data), and its context."""

_processors: dict[str, Processor] = {}
_shutdowns: list[Callable[[], Awaitable[None]]] = []


class UnknownProcessor(LookupError):
    """No processor of that name is registered in this process."""


@dataclass(frozen=True)
class ItemContext:
    """What a processor may know besides its item. `attempt` counts from 1 over all runs of the child.

    `idempotency_key` is the same for every attempt and retry of the same work, and of no other: for the other side to
    tell that it has done it before.
    """

    key: str
    index: int
    attempt: int
    report: Callable[[str], None] = field(default=lambda text: None, compare=False)
    idempotency_key: str = ""
    _canceled: threading.Event = field(default_factory=threading.Event, compare=False)

    def progress(self, done: float, total: float | None = None, note: str = "") -> None:
        """Say how far a long item is: shown at its child within seconds. Call as often as you like, from any thread."""
        share = f"{done:,} of {total:,}" if total is not None else f"{done:,}"
        self.report(f"{share} {note}".strip())

    @property
    def is_canceled(self) -> bool:
        """Whether to stop: for plain functions, which nothing can interrupt. Others get asyncio.CancelledError."""
        return self._canceled.is_set()

    def cancel(self) -> None:
        """Let a plain function know that nobody waits for it any more."""
        self._canceled.set()


@dataclass(frozen=True)
class Processor:
    """A kind of work: its function, its models, and what the launch page says of it.

    `example` is input as a person would paste it, in the format `example_format` ("lines", "csv", "jsonl", "count").
    """

    name: str
    title: str
    summary: str
    function: Function
    item_model: type[BaseModel]
    parameters_model: type[BaseModel]
    result_model: type[BaseModel]
    non_retryable: tuple[type[BaseException], ...] = ()
    compensation: Compensation | None = None
    icon: str = "cube"
    example: str = ""
    example_format: str = "lines"
    default_plan: Mapping[str, Any] = field(default_factory=dict)

    def validate_item(self, data: Mapping[str, Any]) -> BaseModel:
        """Return the item as the function gets it. Raises pydantic.ValidationError."""
        return self.item_model.model_validate(dict(data))

    def validate_parameters(self, data: Mapping[str, Any]) -> BaseModel:
        """Return the parameters as the function gets them. Raises pydantic.ValidationError."""
        return self.parameters_model.model_validate(dict(data))

    def bind(self, parameters: Mapping[str, Any]) -> BoundProcessor:
        """Return the processor with its parameters validated once. Raises pydantic.ValidationError."""
        return BoundProcessor(self, self.validate_parameters(parameters))


@dataclass(frozen=True)
class BoundProcessor:
    """A processor and the parameters of one batch."""

    processor: Processor
    parameters: BaseModel

    async def run(self, data: Mapping[str, Any], context: ItemContext) -> Any:
        """Process one item and return its result as JSON-able data. Raises whatever the function raises.

        A plain function runs in a thread, so that it does not hold up other items.
        """
        item = self.processor.validate_item(data)
        function = self.processor.function
        if inspect.iscoroutinefunction(function):
            result = await function(item, self.parameters, context)
        else:
            try:
                result = await asyncio.to_thread(function, item, self.parameters, context)
            except asyncio.CancelledError:
                context.cancel()
                raise
        return result.model_dump(mode="json") if isinstance(result, BaseModel) else result

    async def undo(self, data: Mapping[str, Any], result: Any, context: ItemContext) -> None:
        """Compensate an item that completed. Raises whatever the compensation raises."""
        assert self.processor.compensation is not None
        await self.processor.compensation(self.processor.validate_item(data), self.parameters, result, context)

    def may_retry(self, error: Exception) -> bool:
        """Whether another attempt may help: not for an invalid item, nor for what the processor rules out."""
        return not isinstance(error, (ValidationError, *self.processor.non_retryable))


def processor(
    *,
    name: str,
    title: str,
    summary: str,
    non_retryable: Sequence[type[BaseException]] = (),
    compensation: Compensation | None = None,
    icon: str = "cube",
    example: str = "",
    example_format: str = "lines",
    default_plan: Mapping[str, Any] | None = None,
) -> Callable[[Function], Function]:
    """Register a function `(item, parameters, context) -> result` whose first two parameters and result are models.

    Raises TypeError, with the file and the reason, for a function that is not typed so, and ValueError for a name that
    is taken.
    """

    def register(function: Function) -> Function:
        place = f"{inspect.getsourcefile(function)}: {function.__qualname__}"
        models = _models_of(function, place)
        taken = _processors.get(name)
        if taken is not None and taken.function.__module__ != function.__module__:
            raise ValueError(f"{place}: the name {name!r} is taken by {taken.function.__module__}.")
        _processors[name] = Processor(
            name,
            title,
            summary,
            function,
            *models,
            non_retryable=tuple(non_retryable),
            compensation=compensation,
            icon=icon,
            example=example,
            example_format=example_format,
            default_plan=dict(default_plan or {}),
        )
        return function

    return register


def _models_of(function: Function, place: str) -> tuple[type[BaseModel], type[BaseModel], type[BaseModel]]:
    names = list(inspect.signature(function).parameters)
    if len(names) != 3:
        raise TypeError(f"{place} must take (item, parameters, context), not ({', '.join(names)}).")
    hints = get_type_hints(function)
    found = []
    for name in (names[0], names[1], "return"):
        model = hints.get(name)
        if not (inspect.isclass(model) and issubclass(model, BaseModel)):
            raise TypeError(f"{place}: {name} needs a pydantic model as its type, not {model!r}.")
        found.append(model)
    return found[0], found[1], found[2]


@lru_cache(maxsize=1)
def load() -> None:
    """Import, once, the built-in processors and those named in CANOPY_PROCESSORS (modules, comma separated)."""
    extra = [module for module in os.environ.get("CANOPY_PROCESSORS", "").split(",") if module.strip()]
    for module in (*BUILTIN_MODULES, *extra):
        importlib.import_module(module.strip())


def processors() -> Mapping[str, Processor]:
    """Return the catalogue, by name."""
    load()
    return MappingProxyType(_processors)


def get_processor(name: str) -> Processor:
    """Return a processor. Raises UnknownProcessor."""
    try:
        return processors()[name]
    except KeyError:
        raise UnknownProcessor(name) from None


def on_shutdown(close: Callable[[], Awaitable[None]]) -> None:
    """Have something closed when the worker stops, such as a connection pool."""
    _shutdowns.append(close)


async def shutdown() -> None:
    """Close what processors opened."""
    for close in _shutdowns:
        await close()
