"""Signatures of processors' functions: parameters and results as pydantic models, read from annotations."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, RootModel, TypeAdapter, ValidationError, create_model

SCALARS = (str, int, float, bool)
"""Types of an item without fields: a line of text, or the field `value`."""

SUPPORTED_TYPES = "a pydantic model, a dataclass, or one of str, int, float and bool"


_encode = json.JSONEncoder().encode


class NoResult(TypeError):
    """A function that declares a result has returned None."""


class NoParameters(BaseModel):
    """Parameters of a function that takes none."""

    model_config = ConfigDict(extra="forbid")


class AnyResult(RootModel[Any]):
    """Result of a function whose annotation names no fields."""


@dataclass(frozen=True)
class ArgumentType:
    """Type of one argument: the model that validates it, and how to make the argument of the model."""

    model: type[BaseModel]
    make: Callable[[Any], Any] = lambda model: model

    @classmethod
    def of(cls, annotation: Any, *, forbids: bool = False) -> ArgumentType:
        """Read an annotation; with `forbids`, data with other fields is invalid. Raises TypeError with the reason."""
        plain = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
        if inspect.isclass(plain) and issubclass(plain, BaseModel):
            return cls(plain)
        if inspect.isclass(plain) and dataclasses.is_dataclass(plain):
            return cls(_model_of_dataclass(plain, forbids=forbids), lambda model: plain(**_fields(model)))
        if plain in SCALARS and not forbids:
            model = create_model("Value", value=(annotation, Field(title="Value")))
            return cls(model, lambda made: made.value)
        raise TypeError(f"needs {SUPPORTED_TYPES} as its type, not {annotation!r}")


@dataclass(frozen=True)
class Signature:
    """How to call a processor's function.

    `takes_many`: it takes a list of items and a list of their contexts, and returns the list of their results.
    """

    item: ArgumentType
    parameters: ArgumentType | None
    result: Any
    takes_context: bool = True
    takes_many: bool = False

    @cached_property
    def result_model(self) -> type[BaseModel]:
        """Model of the result, whose fields are its columns; AnyResult where it has no fields."""
        if inspect.isclass(self.result) and issubclass(self.result, BaseModel):
            return self.result
        if inspect.isclass(self.result) and dataclasses.is_dataclass(self.result):
            return _model_of_dataclass(self.result, forbids=False)
        return AnyResult

    @cached_property
    def _dumps(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.result)

    @cached_property
    def _may_be_none(self) -> bool:
        try:
            self._dumps.validate_python(None)
        except ValidationError:
            return False
        return True

    def dump(self, result: Any) -> Any:
        """Return a result as JSON-able data. Raises pydantic.ValidationError, ValueError or TypeError.

        None where another type is declared raises NoResult: a `return` is missing.
        """
        if result is None and not self._may_be_none:
            raise NoResult(f"The function returned None and declares {_type_name(self.result)}: a return is missing.")
        if isinstance(result, BaseModel):
            data: Any = result.model_dump(mode="json")
        else:
            data = self._dumps.dump_python(result, mode="json", warnings="error")
        _encode(data)
        return data

    def arguments(self, item: Any, parameters: Any, context: Any) -> tuple[Any, ...]:
        """Return the arguments that the function takes."""
        given = [item]
        if self.parameters is not None:
            given.append(parameters)
        if self.takes_context:
            given.append(context)
        return tuple(given)


def read_signature(function: Callable[..., Any], context: type) -> Signature:
    """Read a function `(item[, parameters][, context]) -> result`. Raises TypeError with the reason."""
    try:
        hints = get_type_hints(function, include_extras=True)
    except NameError as error:
        raise TypeError(f"has a type that is not known where it stands: {error}") from error
    names = list(inspect.signature(function).parameters)
    contexts = [name for name in names if hints.get(name) in (context, list[context])]  # type: ignore[valid-type]
    given = [name for name in names if name not in contexts]
    if not 1 <= len(given) <= 2 or len(contexts) > 1 or names != given + contexts:
        raise TypeError(
            f"must take (item), (item, parameters) or (item, parameters, context), not ({', '.join(names)})"
        )
    untyped = next((name for name in [*given, "return"] if name not in hints), None)
    if untyped is not None:
        what = "its result" if untyped == "return" else untyped
        raise TypeError(f"{what} needs a type: {SUPPORTED_TYPES}")
    takes_many = get_origin(hints[given[0]]) is list
    if takes_many and get_origin(hints["return"]) is not list:
        raise TypeError("takes a list of items, so it must return a list with a result for each")
    if contexts and takes_many != (hints[contexts[0]] != context):
        raise TypeError("takes a list of contexts exactly where it takes a list of items")
    item = get_args(hints[given[0]])[0] if takes_many else hints[given[0]]
    return Signature(
        item=_given(item, given[0]),
        parameters=_given(hints[given[1]], given[1], forbids=True) if len(given) == 2 else None,
        result=_result(get_args(hints["return"])[0] if takes_many else hints["return"]),
        takes_context=bool(contexts),
        takes_many=takes_many,
    )


def _given(annotation: Any, name: str, *, forbids: bool = False) -> ArgumentType:
    try:
        return ArgumentType.of(annotation, forbids=forbids)
    except TypeError as error:
        raise TypeError(f"{name} {error}") from error


def _result(annotation: Any) -> Any:
    """Return the type of one result, without the exceptions that may be returned for single items."""
    if get_origin(annotation) in (Union, UnionType):
        left = [each for each in get_args(annotation) if not (inspect.isclass(each) and issubclass(each, Exception))]
        return left[0] if len(left) == 1 else Any
    return NoneType if annotation is None else annotation


def _type_name(annotation: Any) -> str:
    return annotation.__name__ if inspect.isclass(annotation) else str(annotation)


def _model_of_dataclass(source: type, *, forbids: bool) -> type[BaseModel]:
    """Return a model with the fields, bounds and defaults of a dataclass."""
    hints = get_type_hints(source, include_extras=True)
    fields: dict[str, Any] = {}
    for each in dataclasses.fields(source):
        if not each.init:
            continue
        if each.default_factory is not dataclasses.MISSING:
            default: Any = Field(default_factory=each.default_factory)
        else:
            default = ... if each.default is dataclasses.MISSING else each.default
        fields[each.name] = (hints[each.name], default)
    config = ConfigDict(extra="forbid" if forbids else "ignore", arbitrary_types_allowed=False)
    return create_model(source.__name__, __config__=config, __doc__=source.__doc__, **fields)


def _fields(model: BaseModel) -> Mapping[str, Any]:
    return {name: getattr(model, name) for name in type(model).model_fields}
