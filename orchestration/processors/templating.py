"""Templates of URLs, texts and JSON: {field} inserts a field of the item, {secret:NAME} a secret of the worker."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import AfterValidator, BaseModel, ConfigDict

from orchestration.processors.secrets import reveal

SECRET_MARKER = "secret:"  # noqa: S105  a prefix, no secret
PLACEHOLDER = re.compile(r"\{((?:secret:)?[A-Za-z_][\w.\- ]*)\}")


class Fields(BaseModel):
    """An item with any fields. A plain line becomes the field `value`."""

    model_config = ConfigDict(extra="allow")


class UnknownField(LookupError):
    """A template names a field that the item does not have."""


def _is_json(given: str) -> str:
    if given.strip():
        try:
            json.loads(given)
        except ValueError as error:
            raise ValueError(f"This is not JSON: {error}.") from error
    return given


JsonTemplate = Annotated[str, AfterValidator(_is_json)]
"""Type of a parameter that is a JSON template, or empty."""


def _value(fields: Mapping[str, Any], name: str) -> Any:
    if name.startswith(SECRET_MARKER):
        return reveal(name.removeprefix(SECRET_MARKER))
    if name not in fields:
        known = ", ".join(sorted(fields)) or "none"
        raise UnknownField(f"The item has no field {name!r}. It has: {known}.")
    return fields[name]


def fill_text(template: str, fields: Mapping[str, Any]) -> str:
    """Fill a text template. Raises UnknownField, SecretMissing."""
    return PLACEHOLDER.sub(lambda match: str(_value(fields, match[1])), template)


def fill_url(template: str, fields: Mapping[str, Any]) -> str:
    """Fill a URL template: a field at its very start is inserted as it is, any other percent-encoded.

    Raises UnknownField, SecretMissing.
    """

    def encoded(match: re.Match[str]) -> str:
        text = str(_value(fields, match[1]))
        return text if match.start() == 0 else quote(text, safe="")

    return PLACEHOLDER.sub(encoded, template)


def fill_json(template: Any, fields: Mapping[str, Any]) -> Any:
    """Fill the strings of parsed JSON. A string that is only a placeholder becomes the field's value, of any type.

    Raises UnknownField, SecretMissing.
    """
    if isinstance(template, dict):
        return {fill_text(name, fields): fill_json(value, fields) for name, value in template.items()}
    if isinstance(template, list):
        return [fill_json(value, fields) for value in template]
    if isinstance(template, str):
        whole = PLACEHOLDER.fullmatch(template)
        return _value(fields, whole[1]) if whole else fill_text(template, fields)
    return template


def extract(data: Any, path: str) -> Any:
    """Return the value at a dotted path, such as "data.items.0.id". Raises UnknownField."""
    for step in path.split("."):
        if isinstance(data, dict) and step in data:
            data = data[step]
        elif isinstance(data, list) and step.isdecimal() and int(step) < len(data):
            data = data[int(step)]
        else:
            raise UnknownField(f"The response has nothing at {path!r}: no {step!r} there.")
    return data
