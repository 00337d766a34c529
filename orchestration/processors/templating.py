"""Templates of URLs, texts and JSON: {field} inserts a field of the item, {secret:NAME} a secret of the worker."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
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


Reveal = Callable[[str], str]
"""Returns the value of a secret, or what stands for it in a text that a person reads."""


def placeholder_of(name: str) -> str:
    """Return a secret as templates spell it, for texts that a person reads."""
    return f"{{{SECRET_MARKER}{name}}}"


def secrets_in(template: Any) -> set[str]:
    """Return the names of the secrets in a text, or in the texts and names of parsed JSON."""
    if isinstance(template, dict):
        return set().union(*(secrets_in(each) for pair in template.items() for each in pair))
    if isinstance(template, list):
        return set().union(*map(secrets_in, template))
    if not isinstance(template, str):
        return set()
    names = PLACEHOLDER.findall(template)
    return {name.removeprefix(SECRET_MARKER) for name in names if name.startswith(SECRET_MARKER)}


@lru_cache(maxsize=100)
def secrets_in_json(template: str) -> frozenset[str]:
    """Return the names of the secrets in a JSON template, however it spells them."""
    return frozenset(secrets_in(json.loads(template)) if template.strip() else ())


def _value(fields: Mapping[str, Any], name: str, reveal: Reveal) -> Any:
    if name.startswith(SECRET_MARKER):
        return reveal(name.removeprefix(SECRET_MARKER))
    if name not in fields:
        known = ", ".join(sorted(fields)) or "none"
        raise UnknownField(f"The item has no field {name!r}. It has: {known}.")
    return fields[name]


def fill_text(template: str, fields: Mapping[str, Any], reveal: Reveal = reveal) -> str:
    """Fill a text template. Raises UnknownField, and what `reveal` raises."""
    return PLACEHOLDER.sub(lambda match: str(_value(fields, match[1], reveal)), template)


def fill_url(template: str, fields: Mapping[str, Any], reveal: Reveal = reveal) -> str:
    """Fill a URL template: a field at its very start is inserted as it is, any other percent-encoded.

    Raises UnknownField, and what `reveal` raises.
    """

    def encoded(match: re.Match[str]) -> str:
        text = str(_value(fields, match[1], reveal))
        is_shown = reveal is placeholder_of and match[1].startswith(SECRET_MARKER)
        return text if match.start() == 0 or is_shown else quote(text, safe="")

    return PLACEHOLDER.sub(encoded, template)


def fill_json(template: Any, fields: Mapping[str, Any], reveal: Reveal = reveal) -> Any:
    """Fill the strings of parsed JSON. A string that is only a placeholder becomes the field's value, of any type.

    Raises UnknownField, and what `reveal` raises.
    """
    if isinstance(template, dict):
        return {fill_text(name, fields, reveal): fill_json(value, fields, reveal) for name, value in template.items()}
    if isinstance(template, list):
        return [fill_json(value, fields, reveal) for value in template]
    if isinstance(template, str):
        whole = PLACEHOLDER.fullmatch(template)
        return _value(fields, whole[1], reveal) if whole else fill_text(template, fields, reveal)
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
