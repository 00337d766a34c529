"""The decorator that makes a typed function a processor, and the registry of this process."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar, overload

from pydantic import PydanticUserError

from orchestration.processors.function_signature import Signature, read_signature
from orchestration.processors.parameters import check_parameters
from orchestration.processors.processor import Compensation, Estimate, Processor, Report
from orchestration.processors.processor import ItemContext as ItemContext  # public path, see docs/processors.md
from orchestration.processors.worker_setup import Setup

F = TypeVar("F", bound=Callable[..., Any])
_processors: dict[str, Processor] = {}


@overload
def processor(function: F, /) -> F: ...
@overload
def processor(
    *,
    name: str = ...,
    title: str = ...,
    summary: str = ...,
    key: str = ...,
    non_retryable: Sequence[type[BaseException]] = ...,
    compensation: Compensation | None = ...,
    setup: Setup | None = ...,
    report: Report | None = ...,
    together: int = ...,
    icon: str = ...,
    example: str = ...,
    example_format: str = ...,
    default_plan: Mapping[str, Any] | None = ...,
    child_workflow: str = ...,
    then: str = ...,
    own_loop: bool = ...,
    estimate: Estimate | None = ...,
) -> Callable[[F], F]: ...
def processor(function: F | None = None, /, **options: Any) -> F | Callable[[F], F]:
    """Register a typed function `(item[, parameters][, context]) -> result`, async or plain.

    Name, title and summary default to those of the function and its docstring, the other options to those of Processor.
    A function that takes a list of items gets up to `together` of them at once, and returns a list with a result, or an
    exception, for each.
    Raises TypeError, with file and reason, for a function without such types, or with parameters that a form and a
    batch cannot hold, and ValueError for a name that is taken or a key that is no field of an item.
    """

    def register(function: F) -> F:
        _add(_processor_of(function, **options))
        return function

    return register if function is None else register(function)


def _processor_of(
    function: Callable[..., Any],
    *,
    name: str = "",
    title: str = "",
    summary: str = "",
    non_retryable: Sequence[type[BaseException]] = (),
    default_plan: Mapping[str, Any] | None = None,
    **options: Any,
) -> Processor:
    return Processor(
        name or function.__name__,
        title or function.__name__.replace("_", " ").capitalize(),
        summary or (inspect.getdoc(function) or "").partition("\n\n")[0].replace("\n", " "),
        function,
        _signature_of(function),
        non_retryable=tuple(non_retryable),
        default_plan=dict(default_plan or {}),
        **options,
    )


def _signature_of(function: Callable[..., Any]) -> Signature:
    try:
        signature = read_signature(function, ItemContext)
        if signature.parameters is not None:
            check_parameters(signature.parameters.model)
    except (TypeError, NameError, PydanticUserError) as error:
        raise TypeError(f"{inspect.getsourcefile(function)}: {function.__qualname__}: {error}.") from error
    return signature


def _add(made: Processor) -> None:
    if made.key and made.key not in made.item_model.model_fields:
        fields = ", ".join(made.item_model.model_fields) or "none"
        raise ValueError(f"{made.place}: its key {made.key!r} is not a field of an item. Fields: {fields}.")
    taken = _processors.get(made.name)
    if taken is not None and taken.place != made.place:
        raise ValueError(f"{made.place}: the name {made.name!r} is taken by {taken.place}.")
    _processors[made.name] = made


def registered() -> Mapping[str, Processor]:
    """Return the processors registered so far, by name."""
    return MappingProxyType(_processors)
