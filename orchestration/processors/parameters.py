"""Parameters as a batch stores them: JSON-able data by field, which every launch and worker reads back alike."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Iterator, Mapping
from enum import Enum, Flag
from functools import lru_cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NewType, Union, get_args, get_origin

from pydantic import AliasChoices, BaseModel, ConfigDict, SecretBytes, SecretStr, ValidationError, create_model
from pydantic import Secret as SecretValue
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import CoreSchema, to_jsonable_python
from typing_extensions import TypeAliasType

from orchestration.errors.texts import named, visible
from orchestration.processors.validation import guarded, rejection, validated

VALUE_SECRETS = (SecretStr, SecretBytes, SecretValue)
"""Types that hold a secret's value, which no batch may store; `Secret` holds a name."""

USE_SECRET = "the value of a secret is not stored: use orchestration.processors.secrets.Secret"  # noqa: S105


READ_ONCE = (Iterable, Iterator, Generator)
"""Types of which pydantic makes an iterator; the parameters of a batch are read for each item."""


class LenientSchema(GenerateJsonSchema):
    """JSON schemas in which a type that has none of its own accepts anything."""

    ignored_warning_kinds = {"non-serializable-default", "skipped-choice"}

    def handle_invalid_for_json_schema(self, schema: CoreSchema, error_info: str) -> JsonSchemaValue:
        """Return the schema of anything."""
        return {}


def schema_of(model: type[BaseModel], *, by_alias: bool = True) -> dict[str, Any]:
    """Return the JSON schema of a model, whatever types and defaults it has."""
    return model.model_json_schema(by_alias=by_alias, schema_generator=LenientSchema)


def stored(model: BaseModel) -> dict[str, Any]:
    """Return parameters as JSON-able data by field. Raises ValidationError for what cannot be stored."""
    kind = type(model)
    hidden = secret_fields(kind)
    for name in hidden & model.model_fields_set:
        raise rejection(kind, f"Not accepted: {USE_SECRET}.", name)
    data: dict[str, Any] = guarded(
        kind, lambda: model.model_dump(mode="json", round_trip=True, exclude=hidden, warnings=False)
    )
    for name, value in data.items():
        if reason := _unstorable(value):
            raise rejection(kind, reason, name)
    return data


def read_parameters(model: type[BaseModel], data: Mapping[str, Any]) -> BaseModel:
    """Return data, stored or given by field or alias, as parameters. Raises ValidationError."""
    made = _read(model, data)
    stored(made)
    return made


def names_of(field: str, info: FieldInfo) -> list[str]:
    """Return the names by which a field may be given: its own, and its aliases, of a path the first step."""
    alias = info.validation_alias
    aliases = alias.choices if isinstance(alias, AliasChoices) else [alias]
    return [field, *(each if isinstance(each, str) else str(each.path[0]) for each in aliases if each is not None)]


def _read(model: type[BaseModel], data: Mapping[str, Any]) -> BaseModel:
    given = dict(data)
    for field, info in model.model_fields.items():
        members = _members_without_json(unwrapped(info.annotation)[0])
        for name in names_of(field, info) if members else ():
            if name in given:
                stored_as = (each for each in members if _is_same(to_jsonable_python(each), given[name]))
                given[name] = next(stored_as, given[name])
    return validated(model, given, by_name=True)


def _members_without_json(annotation: Any) -> list[Any]:
    """Return the choices that pydantic accepts as themselves alone, and not as the JSON that they are stored as."""
    is_enum = isinstance(annotation, type)
    return [
        each
        for each in choices_of(annotation) or ()
        if not isinstance(each.value if is_enum else each, str | int | float | None)
        or (isinstance(each, Enum) and not is_enum)
    ]


def _unstorable(value: Any) -> str:
    """Return why JSON or a database cannot hold a value; empty if they can."""
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        text.encode()
    except (ValueError, TypeError, RecursionError) as error:
        return f"This cannot be stored: {error}."
    return "This cannot be stored: it contains the character NUL." if "\\u0000" in text.replace("\\\\", "") else ""


def unwrapped(annotation: Any) -> tuple[Any, tuple[Any, ...], bool]:
    """Return a type without aliases, annotations and None, the metadata found on the way, and whether None was."""
    metadata, takes_none = tuple[Any, ...](), False
    while True:
        if isinstance(annotation, TypeAliasType) or type(annotation).__name__ == "TypeAliasType":
            annotation = annotation.__value__
        elif isinstance(annotation, NewType):
            annotation = annotation.__supertype__
        elif get_origin(annotation) is Annotated:
            annotation, *found = get_args(annotation)
            metadata += tuple(found)
        elif get_origin(annotation) in (Union, UnionType) and NoneType in get_args(annotation):
            left = tuple(each for each in get_args(annotation) if each is not NoneType)
            annotation, takes_none = Union[left] if left else NoneType, True  # noqa: UP007  made at run time
        elif get_origin(annotation) is Literal and None in get_args(annotation) and len(get_args(annotation)) > 1:
            annotation, takes_none = Literal[tuple(each for each in get_args(annotation) if each is not None)], True
        else:
            return annotation, metadata, takes_none


def choices_of(annotation: Any) -> list[Any] | None:
    """Return the members of an unwrapped Enum or Literal; None for a Flag, which combines them, and any other type."""
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    if isinstance(annotation, type) and issubclass(annotation, Enum) and not issubclass(annotation, Flag):
        return list(annotation)
    return None


def secret_fields(model: type[BaseModel]) -> set[str]:
    """Return the fields that hold a secret's value."""
    return {name for name, info in model.model_fields.items() if _is_value_secret(info)}


def _is_value_secret(info: FieldInfo) -> bool:
    annotation = unwrapped(info.annotation)[0]
    kind = get_origin(annotation) or annotation
    return isinstance(kind, type) and issubclass(kind, VALUE_SECRETS)


def stored_defaults(model: type[BaseModel]) -> dict[str, Any]:
    """Return the defaults of a model as they are stored, without those that are computed from other fields."""
    found = {}
    for name, info in model.model_fields.items():
        if not info.is_required() and not info.default_factory_takes_validated_data and not _is_value_secret(info):
            found[name] = _stored_value(model, name, info.get_default(call_default_factory=True))
    return found


def _stored_value(model: type[BaseModel], name: str, value: Any) -> Any:
    try:
        one = _model_of_one(model, name)
        return _dumped(model, name, value if _comes_back(one, name, value) else _proper(one, name, value))
    except Exception:
        return to_jsonable_python(value, round_trip=True, fallback=repr)


def _proper(one: type[BaseModel], name: str, value: Any) -> Any:
    """Return a value as its type has it. Raises ValidationError."""
    return getattr(_read(one, {name: value}), name)


def _dumped(model: type[BaseModel], name: str, value: Any) -> Any:
    made = _instance(model, name, value)
    return made.model_dump(mode="json", round_trip=True, include={name}, warnings=False)[name]


def _comes_back(one: type[BaseModel], name: str, value: Any) -> bool:
    """Whether a value is stored and read back as it is: a default is not validated, and may be of another type."""
    try:
        return _is_same(value, _proper(one, name, _dumped(one, name, value)))
    except Exception:
        return False


def check_parameters(model: type[BaseModel]) -> None:
    """Check that a form and a batch can hold the parameters of a model. Raises TypeError with field and reason."""
    for name, info in model.model_fields.items():
        try:
            _check_field(model, name, info)
        except ValidationError as error:
            raise TypeError(f"{name} cannot be a parameter: {error.errors()[0]['msg']}") from error
        except TypeError as error:
            raise TypeError(f"{name} cannot be a parameter: {error}") from error


def _check_field(model: type[BaseModel], name: str, info: FieldInfo) -> None:
    if info.exclude:
        raise TypeError("it is excluded from what is stored")
    if _is_value_secret(info):
        if info.is_required():
            raise TypeError(USE_SECRET)
        return
    one = _model_of_one(model, name)
    if _has_secret(schema_of(one)):
        raise TypeError(USE_SECRET)
    annotation, _, _ = unwrapped(info.annotation)
    if (get_origin(annotation) or annotation) in READ_ONCE:
        raise TypeError("it can be read only once, by the first item: use a list")
    if (members := choices_of(annotation)) == []:
        raise TypeError("it has no choices")
    for member in members or ():
        _check_value(one, name, member, "its choice")
    if info.is_required() or info.default_factory_takes_validated_data:
        return
    try:
        default = info.get_default(call_default_factory=True)
    except Exception as error:
        raise TypeError(f"its default cannot be made: {named(error)}") from error
    _check_value(one, name, default, "its default")


@lru_cache(maxsize=1_000)
def _model_of_one(model: type[BaseModel], name: str) -> type[BaseModel]:
    """Return a model of one field alone: its type and annotations, without the validators of the whole model."""
    info = model.model_fields[name]
    config = ConfigDict(**model.model_config | {"protected_namespaces": (), "extra": "ignore"})
    fields: dict[str, Any] = {name: (info.annotation, info)}
    made: type[BaseModel] = create_model(model.__name__, __config__=config, **fields)
    return made


def _check_value(one: type[BaseModel], name: str, value: Any, what: str) -> None:
    try:
        proper = value if _comes_back(one, name, value) else _proper(one, name, value)
        again = _proper(one, name, stored(_instance(one, name, proper))[name])
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise TypeError(f"{what} {_shown(value)} cannot be stored and read back: {reason}") from error
    if not _is_same(proper, again):
        raise TypeError(f"{what} {_shown(value)} is stored as JSON, and read back as {_shown(again)}")


def _shown(value: Any) -> str:
    """Return a value as code, shortened; its type where it cannot be written."""
    try:
        return visible(repr(value))[:200]
    except Exception:
        return f"of type {type(value).__name__}"


def _instance(model: type[BaseModel], name: str, value: Any) -> BaseModel:
    """Return an instance of a model that has one field alone."""
    made = model.__new__(model)
    object.__setattr__(made, "__dict__", {name: value})
    object.__setattr__(made, "__pydantic_fields_set__", {name})
    object.__setattr__(made, "__pydantic_extra__", None)
    object.__setattr__(made, "__pydantic_private__", None)
    return made


def _is_same(left: Any, right: Any) -> bool:
    if isinstance(left, bool) != isinstance(right, bool):
        return False
    try:
        if bool(left == right) or repr(left) == repr(right):
            return True
        return type(left) is type(right) and not isinstance(left, Enum) and "__eq__" not in vars(type(left))
    except Exception:
        return type(left) is type(right)


def _has_secret(schema: Any) -> bool:
    if isinstance(schema, dict):
        return schema.get("writeOnly") is True or any(_has_secret(each) for each in schema.values())
    return isinstance(schema, list) and any(_has_secret(each) for each in schema)
