"""The form field of a model's field: by its type, its bounds and its JSON schema."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum, Flag
from types import NoneType
from typing import Any, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from django import forms
from django.utils.translation import gettext, gettext_lazy
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from dashboard.forms.durations import Seconds
from dashboard.forms.fields import SECRET_LENGTH, SuggestInput, UploadField
from dashboard.forms.stored_values import (
    Choice,
    DurationField,
    ExactText,
    FloatNumber,
    HiddenSecret,
    JsonValue,
    MomentField,
    PairsField,
    Stored,
    StoredField,
    Switch,
    TextOf,
    WholeNumber,
)
from dashboard.forms.value_widgets import MomentInput, NativeInput, TextParts
from dashboard.i18n.formatting import StrOrPromise, plain_number, translated
from orchestration.processors.parameters import VALUE_SECRETS, choices_of, unwrapped
from orchestration.processors.secrets import SECRET_PREFIX, Secret
from orchestration.processors.uploads import Upload

EMPTY_OF: dict[str, Any] = {"array": [], "object": {}}
"""What an empty field stands for, by the type in the JSON schema."""


def title_of(name: str, info: FieldInfo) -> str:
    """Return the title of a field."""
    return info.title or name.replace("_", " ").capitalize()


def choice_title(each: Enum) -> str:
    """Return the title of a choice."""
    return str(each.value).replace("_", " ").capitalize()


def field_of(name: str, info: FieldInfo, schema: dict[str, Any], default: Any) -> forms.Field:
    """Return the form field. `schema` is its part of the JSON schema, `default` is Stored or None."""
    annotation, metadata, takes_none = unwrapped(info.annotation)
    takes_none = takes_none or annotation is NoneType
    is_required = info.is_required() and not takes_none
    common: dict[str, Any] = {
        "label": translated(title_of(name, info)),
        "help_text": translated(info.description or ""),
        "initial": default,
        "required": is_required,
    }
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    made = _field_by_type(annotation, [*info.metadata, *metadata], takes_none, common, extra) or _field_by_schema(
        annotation, schema, takes_none, common, extra
    )
    made.is_advanced = bool(extra.get("advanced"))  # type: ignore[attr-defined]
    if isinstance(made, StoredField):
        made.takes_none = takes_none
        made.is_computed = default is None and not info.is_required()
        _say_what_empty_means(made, info)
    return made


def _field_by_type(
    annotation: Any, metadata: list[Any], takes_none: bool, common: dict[str, Any], extra: dict[str, Any]
) -> forms.Field | None:
    """Return the field of a type that has one of its own."""
    if (members := choices_of(annotation)) is not None or (annotation is bool and takes_none):
        return _choice(members, takes_none, common)
    if annotation is bool:
        return Switch(**common | {"required": False})
    if isinstance(annotation, type) and issubclass(annotation, Flag):
        listed = ", ".join(f"{each.value} {str(each.name).replace('_', ' ').lower()}" for each in annotation)
        sums = gettext("The sum of what applies: %(members)s.") % {"members": listed}
        return WholeNumber(**common | {"required": not takes_none, "help_text": common["help_text"] or sums})
    if annotation is int or annotation is float or annotation is Decimal:
        return _number(annotation, metadata, takes_none, common, extra)
    if annotation is str:
        return _text(metadata, takes_none, common, extra)
    if annotation is Secret:
        hint = gettext("Name of a secret; workers read its value from %(variable)sNAME.") % {"variable": SECRET_PREFIX}
        common |= {"help_text": common["help_text"] or hint}
        return TextOf(max_length=SECRET_LENGTH, **common)
    if annotation is Upload:
        return UploadField(**common)
    if isinstance(kind := get_origin(annotation) or annotation, type) and issubclass(kind, VALUE_SECRETS):
        note = gettext_lazy("Set in the processor's code; a launch cannot change it.")
        return HiddenSecret(**common | {"disabled": True, "required": False, "help_text": note})
    if get_origin(annotation) is dict:
        widget = forms.Textarea({"placeholder": str(extra.get("placeholder", ""))})
        return PairsField(widget=widget, **common | {"required": False})
    return None


def _choice(members: list[Any] | None, takes_none: bool, common: dict[str, Any]) -> forms.Field:
    if members is None:
        values: list[tuple[Any, StrOrPromise]] = [(True, gettext_lazy("Yes")), (False, gettext_lazy("No"))]
    else:
        values = [(to_jsonable_python(each), translated(_member_title(each))) for each in members]
    has_default = common["initial"] is not None
    blank: StrOrPromise = gettext_lazy("None") if takes_none else gettext_lazy("Please choose…")
    if has_default and not takes_none:
        blank = ""
    return Choice(
        values, blank=blank, **common | {"required": not takes_none, "initial": common["initial"] or Stored(None)}
    )


def _member_title(member: Any) -> str:
    title = choice_title(member) if isinstance(member, Enum) else str(member)
    return title.strip() or gettext("(empty)")


def _number(
    annotation: Any, metadata: list[Any], takes_none: bool, common: dict[str, Any], extra: dict[str, Any]
) -> forms.Field:
    common |= {"required": not takes_none}
    if annotation is Decimal:
        return TextOf(widget=forms.NumberInput(attrs={"step": "any"}), **common)
    bounds = dict[str, Any]()
    for each in metadata:
        if isinstance(each, Ge | Gt):
            bounds["min_value"] = each.ge if isinstance(each, Ge) else each.gt
        elif isinstance(each, Le | Lt):
            bounds["max_value"] = each.le if isinstance(each, Le) else each.lt
    if extra.get("unit") == "seconds":
        above: Any = next((each.gt for each in metadata if isinstance(each, Gt)), None)
        return Seconds(above=above, least=bounds.get("min_value"), most=bounds.get("max_value"), **common)
    common |= {"error_messages": _bound_errors(bounds)}
    if annotation is int:
        return WholeNumber(**bounds, **common)
    return FloatNumber(widget=forms.NumberInput(attrs={"step": "any"}), **bounds, **common)


def _bound_errors(bounds: dict[str, Any]) -> dict[str, str]:
    """Return what is said of a number out of bounds."""
    texts = {"min_value": gettext("Enter %(limit)s or more."), "max_value": gettext("Enter %(limit)s or less.")}
    return {name: texts[name] % {"limit": plain_number(limit)} for name, limit in bounds.items()}


def _text(metadata: list[Any], takes_none: bool, common: dict[str, Any], extra: dict[str, Any]) -> forms.Field:
    longest = next((each.max_length for each in metadata if isinstance(each, MaxLen)), None)
    shortest = next((each.min_length for each in metadata if isinstance(each, MinLen)), 0)
    widget: forms.Widget = TextParts({"rows": 3, "class": ""} if extra.get("widget") == "textarea" else None)
    if what := extra.get("suggest"):
        widget = SuggestInput(str(what))
    made = ExactText(max_length=longest, widget=widget, strip=False, **common)
    if takes_none and not shortest and isinstance(made.widget, TextParts):
        made.has_none = made.widget.has_none = True
    return made


def _field_by_schema(
    annotation: Any, schema: dict[str, Any], takes_none: bool, common: dict[str, Any], extra: dict[str, Any]
) -> forms.Field:
    """Return the field of any other type: what its JSON schema says, else JSON."""
    common |= {"required": not takes_none}
    kind, form = schema.get("type"), schema.get("format")
    if kind == "string" and form == "date":
        return TextOf(widget=NativeInput("date"), **common)
    if kind == "string" and form in ("date-time", "time"):
        return MomentField(widget=MomentInput("time" if form == "time" else "datetime-local"), **common)
    if kind == "string" and form == "duration":
        example = gettext_lazy("Hours, minutes and seconds, such as 01:30:00, or ISO 8601.")
        return DurationField(**common | {"help_text": common["help_text"] or example})
    if kind == "string" and annotation is bytes:
        return _text([], takes_none, common | {"required": False}, extra)
    if kind == "string" and "enum" not in schema and "const" not in schema:
        return TextOf(strip=form not in ("path", "file-path", "directory-path"), **common)
    made = JsonValue(**common | {"required": common["required"] and not takes_none})
    if (kind in EMPTY_OF and not takes_none) or annotation is Any:
        made.empty, made.required = EMPTY_OF.get(str(kind)), False
    made.help_text = made.help_text or str(_json_hint(schema))
    made.widget.attrs |= {"spellcheck": "false", "placeholder": str(extra.get("placeholder", ""))}
    return made


def _json_hint(schema: dict[str, Any]) -> StrOrPromise:
    """Return what to enter into a JSON field."""
    if schema.get("type") == "array":
        is_text = schema.get("items", {}).get("type") == "string"
        return gettext_lazy('A JSON list, such as ["a", "b"].') if is_text else gettext_lazy("A JSON list.")
    if schema.get("type") == "object":
        return gettext_lazy("A JSON object.")
    return gettext_lazy("Any JSON, with text in double quotes.")


def _say_what_empty_means(made: StoredField, info: FieldInfo) -> None:
    has_choice = isinstance(made, Choice | Switch) or (isinstance(made, ExactText) and made.has_none)
    if made.is_computed and not isinstance(made, Switch | HiddenSecret):
        made.required = False
        hint = gettext_lazy("Leave empty to have it computed.")
    elif made.takes_none and not has_choice:
        hint = gettext_lazy("Leave empty for none.")
    else:
        return
    made.help_text = f"{made.help_text} {hint}".strip() if made.help_text else hint
