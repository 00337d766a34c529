"""Stored settings as people read them: titles instead of field names, units, and words instead of JSON."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from django.utils.translation import gettext as _
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from dashboard.forms.model_fields import choice_title, title_of
from dashboard.forms.stored_values import json_text
from dashboard.i18n.formatting import plain_number, quantity, translated
from orchestration.processors.parameters import choices_of, unwrapped


def shown_values(model: type[BaseModel], data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the titles and values of settings in the model's order; the value is empty where nothing is set."""
    known = {name: info for name, info in model.model_fields.items() if name in data}
    shown = [(str(translated(title_of(name, info))), shown_value(info, data[name])) for name, info in known.items()]
    return shown + [(name, shown_value(None, value)) for name, value in data.items() if name not in known]


def shown_value(info: FieldInfo | None, value: Any) -> str:
    """Return one value of a field; of a field that the model no longer has, `info` is None."""
    if value is None or value in ("", [], {}):
        return ""
    if isinstance(value, bool):
        return _("Yes") if value else _("No")
    extra = info.json_schema_extra if info is not None and isinstance(info.json_schema_extra, dict) else {}
    if isinstance(value, int | float):
        return quantity(value) if extra.get("unit") == "seconds" else plain_number(value)
    if isinstance(value, str):
        return _choice(info, value)
    if isinstance(value, Mapping) and value.get("upload") and value.get("name"):
        return str(value["name"])
    return json_text(value)


def _choice(info: FieldInfo | None, value: str) -> str:
    """Return the title of a choice, or the text itself."""
    members = choices_of(unwrapped(info.annotation)[0]) if info is not None else None
    chosen = next((each for each in members or () if isinstance(each, Enum) and each.value == value), None)
    return str(translated(choice_title(chosen))) if chosen is not None else value
