"""Validation by models whose validators may raise anything: each reason not to accept data is a ValidationError."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from orchestration.errors.texts import named

Made = TypeVar("Made")


def validated(model: type[Made], data: Mapping[str, Any], *, by_name: bool = False) -> Made:
    """Return data as a model. With `by_name`, fields that have an alias are accepted by their name as well.

    JSON's values are accepted by strict models too, such as dates as text. Raises ValidationError, whatever a validator
    raised.
    """
    assert issubclass(model, BaseModel)
    given = dict(data)
    names: dict[str, Any] = {"by_alias": True, "by_name": True} if by_name else {}
    try:
        return guarded(model, lambda: model.model_validate(given, **names))
    except ValidationError as error:
        try:
            return guarded(model, lambda: model.model_validate_json(json.dumps(given), **names))
        except ValidationError:
            raise error from None


def guarded(model: type, make: Callable[[], Made]) -> Made:
    """Return what `make` makes. Raises ValidationError, also in place of anything else that is raised."""
    try:
        return make()
    except ValidationError:
        raise
    except BaseException as error:  # a validator may raise what it likes, SystemExit included: it is about this data
        raise rejection(model, named(error)) from error


def rejection(model: type, reason: str, *place: str) -> ValidationError:
    """Return the error of a model, or of a field of it, for a reason."""
    kind = PydanticCustomError("rejected", "{reason}", {"reason": reason})
    return ValidationError.from_exception_data(model.__name__, [InitErrorDetails(type=kind, loc=place, input=None)])


def without_input(error: ValidationError) -> ValidationError:
    """Return an error with the same reasons at the same places, whose text does not quote the data."""
    reasons = [
        InitErrorDetails(type=PydanticCustomError(each["type"], each["msg"]), loc=each["loc"], input=None)
        for each in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    return ValidationError.from_exception_data(error.title, reasons, hide_input=True)
