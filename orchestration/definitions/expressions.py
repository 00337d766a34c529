"""References and conditions: their models, and their evaluation against the results of steps.

Pure and deterministic, as workflows need it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

Ref = Annotated[str, Field(min_length=1, max_length=500)]


class Part(BaseModel):
    """Base of all models of a definition."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True)


def one_of(tags: Mapping[str, str], alternatives: tuple[type[Part], ...], value: Any) -> str | None:
    """Return the tag of the only key of `tags` that a mapping has, or of the model that a value is."""
    if isinstance(value, Mapping):
        found = [tag for key, tag in tags.items() if key in value]
        return found[0] if len(found) == 1 else None
    return next((tag for tag, model in zip(tags.values(), alternatives, strict=True) if isinstance(value, model)), None)


class Reference(Part):
    """Stands for a value of an earlier step's result."""

    ref: Ref


class Operator(StrEnum):
    """Comparison of a referenced value with a constant. `exists`: the field is there, and not null."""

    EQUAL = "=="
    NOT_EQUAL = "!="
    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="
    IN = "in"
    EXISTS = "exists"


class Compare(Part):
    """Compares one referenced value with a constant."""

    ref: Ref
    op: Operator
    value: Any = None

    @model_validator(mode="after")
    def _value_fits_operator(self) -> Self:
        if self.op is Operator.EXISTS:
            if self.value is not None:
                raise PydanticCustomError("value", "exists takes no value.")
        elif "value" not in self.model_fields_set:
            raise PydanticCustomError("value", "The value to compare with is missing.")
        elif self.op is Operator.IN and not isinstance(self.value, list):
            raise PydanticCustomError("value", "in requires a list as its value.")
        elif self.op in (Operator.LESS, Operator.AT_MOST, Operator.MORE, Operator.AT_LEAST) and (
            isinstance(self.value, bool) or not isinstance(self.value, int | float | str)
        ):
            raise PydanticCustomError("value", "<, <=, > and >= require a number or text as their value.")
        return self


class AllOf(Part):
    """Holds if all of its conditions do."""

    all: tuple[Condition, ...] = Field(min_length=1)


class AnyOf(Part):
    """Holds if one of its conditions does."""

    any: tuple[Condition, ...] = Field(min_length=1)


class Not(Part):
    """Holds if its condition does not."""

    condition: Condition = Field(alias="not")


CONDITION_TAGS = {"ref": "<compare>", "all": "<all>", "any": "<any>", "not": "<not>"}

Condition = Annotated[
    Annotated[Compare, Tag("<compare>")]
    | Annotated[AllOf, Tag("<all>")]
    | Annotated[AnyOf, Tag("<any>")]
    | Annotated[Not, Tag("<not>")],
    Discriminator(
        lambda value: one_of(CONDITION_TAGS, (Compare, AllOf, AnyOf, Not), value),
        custom_error_type="condition",
        custom_error_message="A condition must have exactly one of: ref (with op and value), all, any, not.",
    ),
]


class Missing(LookupError):
    """The referenced value does not exist: the result has no such field, or the step no result."""


def resolve(ref: str, results: Mapping[str, Any]) -> Any:
    """Return the value of "step", "step.field" or "step.list.0.field". Raises Missing.

    "step.result.field" is the same as "step.field", unless the step's result has a field named result.
    """
    *_, value = values_along(ref, results)
    return value


def values_along(ref: str, results: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the values that lead to a referenced one, which is the last. Raises Missing."""
    first, *rest = ref.split(".")
    if first not in results:
        raise Missing(f"{ref}: there is no result of {first!r}.")
    value = results[first]
    yield value
    if rest and rest[0] == "result" and not (isinstance(value, Mapping) and "result" in value):
        rest = rest[1:]
    for field in rest:
        if isinstance(value, Mapping) and field in value:
            value = value[field]
        elif isinstance(value, list | tuple) and field.isdecimal() and len(field) < 10 and int(field) < len(value):
            value = value[int(field)]
        else:
            raise Missing(f"{ref}: there is no {field!r}.")
        yield value


def reference_of(value: Any) -> str | None:
    """Return the reference that a value is, or None for a plain value."""
    if isinstance(value, Mapping) and len(value) == 1 and isinstance(value.get("ref"), str):
        return str(value["ref"])
    return None


def fill(value: Any, results: Mapping[str, Any]) -> Any:
    """Return a value with all references in it resolved. Raises Missing."""
    ref = reference_of(value)
    if ref is not None:
        return resolve(ref, results)
    if isinstance(value, Mapping):
        return {name: fill(each, results) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [fill(each, results) for each in value]
    return value


def holds(condition: Condition, results: Mapping[str, Any]) -> bool:
    """Whether a condition holds. A missing value equals nothing, and is neither less nor more than anything.

    A comparison of unlike types, such as text and number, is false, not an error.
    """
    if isinstance(condition, AllOf):
        return all(holds(each, results) for each in condition.all)
    if isinstance(condition, AnyOf):
        return any(holds(each, results) for each in condition.any)
    if isinstance(condition, Not):
        return not holds(condition.condition, results)
    return _compares(condition, results)


def _compares(condition: Compare, results: Mapping[str, Any]) -> bool:
    try:
        found = resolve(condition.ref, results)
    except Missing:
        return condition.op is Operator.NOT_EQUAL
    value = condition.value
    if condition.op is Operator.EXISTS:
        return found is not None
    if condition.op is Operator.EQUAL:
        return _same(found, value)
    if condition.op is Operator.NOT_EQUAL:
        return not _same(found, value)
    if condition.op is Operator.IN:
        return any(_same(found, each) for each in value)
    if not _comparable(found, value):
        return False
    less, equal = found < value, found == value
    ordered = {
        Operator.LESS: less,
        Operator.AT_MOST: less or equal,
        Operator.MORE: not less and not equal,
        Operator.AT_LEAST: not less,
    }
    return bool(ordered[condition.op])


def _same(left: Any, right: Any) -> bool:
    """Whether two JSON values are equal: 1 equals 1.0, but not true."""
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _comparable(left: Any, right: Any) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return False
    numbers = isinstance(left, int | float) and isinstance(right, int | float)
    return numbers or (isinstance(left, str) and isinstance(right, str))
