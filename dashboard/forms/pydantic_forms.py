"""Forms generated from pydantic models, with the models' errors at their fields."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen
from django import forms
from django.http import QueryDict
from django.utils.translation import gettext as _
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from dashboard.errors import reasons_by_field
from dashboard.forms.fields import SECRET_LENGTH, PairsField, SuggestInput, UploadField
from dashboard.i18n.formatting import translated
from orchestration.processors.secrets import SECRET_PREFIX, Secret
from orchestration.processors.uploads import Upload


class PydanticForm(forms.Form):
    """A form generated from a pydantic model; once it is valid, `model` is the validated instance."""

    source: type[BaseModel]
    model: BaseModel

    def __init__(self, data: Mapping[str, Any] | None = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(data, *args, **kwargs)
        if isinstance(data, QueryDict):
            self.data = self._with_defaults(data)

    def _with_defaults(self, data: QueryDict) -> QueryDict:
        """Fill in fields that were not submitted, as an older page or a script leaves them out."""
        filled = data.copy()
        for name, field in self.fields.items():
            key = self.add_prefix(name)
            if key not in filled and not isinstance(field, forms.BooleanField) and field.initial is not None:
                filled[key] = str(field.prepare_value(field.initial))
        return filled

    @property
    def groups(self) -> list[tuple[str, list[forms.BoundField]]]:
        """The fields by group in the model's order, those without a group first."""
        found: dict[str, list[forms.BoundField]] = {"": []}
        for name, info in self.source.model_fields.items():
            extra = info.json_schema_extra
            group = str(extra.get("group", "")) if isinstance(extra, dict) else ""
            found.setdefault(group, []).append(self[name])
        return list(found.items())

    def clean(self) -> dict[str, Any]:
        """Validate with the model and add its errors to the fields."""
        cleaned: dict[str, Any] = super().clean() or {}
        if self.errors:
            return cleaned
        given = {name: value for name, value in cleaned.items() if value is not None}
        try:
            self.model = self.source.model_validate(given)
        except ValidationError as error:
            for path, reasons in reasons_by_field(error.errors()).items():
                name = path.partition(".")[0]
                self.add_error(name if name in self.fields else None, reasons)
        return cleaned


def form_of(model: type[BaseModel]) -> type[PydanticForm]:
    """Return the form class of a model: fields by its types, bounds, choices, titles, descriptions and defaults."""
    fields = {name: _field_of(name, info) for name, info in model.model_fields.items()}
    return type(f"{model.__name__}Form", (PydanticForm,), {**fields, "source": model})


def title_of(name: str, info: FieldInfo) -> str:
    """Return the title of a field."""
    return info.title or name.replace("_", " ").capitalize()


def choice_title(each: Enum) -> str:
    """Return the title of a choice."""
    return str(each.value).replace("_", " ").capitalize()


def _field_of(name: str, info: FieldInfo) -> forms.Field:
    annotation, is_optional = _without_none(info.annotation)
    common: dict[str, Any] = {
        "label": translated(title_of(name, info)),
        "help_text": translated(info.description or ""),
        "initial": None if info.is_required() else _without_zero_fraction(info.get_default(call_default_factory=True)),
        "required": not is_optional and annotation in (int, float),
    }
    if get_origin(annotation) is Literal:
        return forms.ChoiceField(choices=[(each, translated(str(each))) for each in get_args(annotation)], **common)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        choices = [(each.value, translated(choice_title(each))) for each in annotation]
        return forms.ChoiceField(choices=choices, **common)
    if annotation is bool:
        return forms.BooleanField(**common | {"required": False})
    if annotation in (int, float):
        return _number_field(annotation, info, common)
    if annotation is str:
        return _text_field(info, common)
    if annotation is Secret:
        hint = _("Name of a secret; workers read its value from %(variable)sNAME.") % {"variable": SECRET_PREFIX}
        common |= {"required": info.is_required(), "help_text": translated(info.description or "") or hint}
        return forms.CharField(max_length=SECRET_LENGTH, **common)
    if annotation is Upload:
        return UploadField(**common | {"required": info.is_required()})
    if get_origin(annotation) is dict:
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        example = forms.Textarea({"placeholder": str(extra.get("placeholder", ""))})
        return PairsField(widget=example, **common | {"required": False})
    return forms.JSONField(**common | {"required": info.is_required()})


def _without_zero_fraction(default: Any) -> Any:
    """Return a float without a fraction as int: 60, not 60.0."""
    return int(default) if isinstance(default, float) and default.is_integer() else default


def _without_none(annotation: Any) -> tuple[Any, bool]:
    if get_origin(annotation) in (Union, UnionType):
        left = [each for each in get_args(annotation) if each is not NoneType]
        if len(left) == 1:
            return left[0], True
    return annotation, False


def _number_field(annotation: Any, info: FieldInfo, common: dict[str, Any]) -> forms.Field:
    bounds = dict[str, Any]()
    for each in info.metadata:
        if isinstance(each, Ge | Gt):
            bounds["min_value"] = each.ge if isinstance(each, Ge) else each.gt
        elif isinstance(each, Le | Lt):
            bounds["max_value"] = each.le if isinstance(each, Le) else each.lt
    if annotation is int:
        return forms.IntegerField(**bounds, **common)
    return forms.FloatField(widget=forms.NumberInput(attrs={"step": "any"}), **bounds, **common)


def _text_field(info: FieldInfo, common: dict[str, Any]) -> forms.Field:
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    longest = next((each.max_length for each in info.metadata if isinstance(each, MaxLen)), None)
    widget: Any = forms.Textarea if extra.get("widget") == "textarea" else forms.TextInput
    if what := extra.get("suggest"):
        widget = SuggestInput(str(what))
    return forms.CharField(max_length=longest, widget=widget, **common | {"required": info.is_required()})
