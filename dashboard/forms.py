"""Forms made from pydantic models, and the form of a launch: items, parameters, plan."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen
from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.http import QueryDict
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from dashboard import uploads
from dashboard.items import ROW_NUMBER, Format
from dashboard.wording import numeral, said
from orchestration.processors.secrets import VARIABLE, Secret
from orchestration.processors.uploads import Upload

SECRET_LENGTH = 1_000
"""Far longer than a name: what is no name is told so, and not cut."""


class LinesOfPairs(forms.CharField):
    """A mapping of text to text, one "Name: value" a line."""

    widget = forms.Textarea

    def prepare_value(self, value: Any) -> Any:
        """Show a mapping as lines."""
        return "\n".join(f"{name}: {text}" for name, text in value.items()) if isinstance(value, Mapping) else value

    def to_python(self, value: Any) -> Any:
        """Read the lines."""
        pairs = {}
        for number, line in enumerate(str(value or "").splitlines(), start=1):
            name, colon, text = line.partition(":")
            if line.strip() and not (colon and name.strip()):
                raise forms.ValidationError(_("Line %(number)s is not of the form Name: value.") % {"number": number})
            if line.strip():
                pairs[name.strip()] = text.strip()
        return pairs


class Suggested(forms.TextInput):
    """A text field that offers what has been seen, as it says at the address `suggestions`; anything may be typed."""

    def __init__(self, what: str) -> None:
        super().__init__({"autocomplete": "off", "spellcheck": "false"})
        self._what = what

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        """Return the field and its list, which is fetched when it is entered and while one types."""
        options = f"{(attrs or {}).get('id', name)}-seen"
        asked = {
            "list": options,
            "hx-get": reverse("suggestions", args=[self._what]),
            "hx-trigger": "focus once, input changed delay:200ms",
            "hx-target": f"#{options}",
            "hx-swap": "innerHTML",
            "hx-sync": "this:replace",
        }
        field = super().render(name, value, {**(attrs or {}), **asked}, renderer)
        return format_html('{}<datalist id="{}"></datalist>', field, options)


class KeptFile(forms.FileInput):
    """Where a file is chosen, beside the one that was chosen before: its id goes with the form."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        """Return the id of what was chosen, now or before."""
        return data.get(name)

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        """Return the input, and what it has."""
        known = uploads.find(str(value)) if value else None
        chosen = super().render(f"{name}{uploads.CHOSEN}", None, attrs, renderer)
        if known is None:
            return chosen
        size = _("%(size)s, uploaded") % {"size": filesizeformat(known.size)}
        kept = '<p class="kept"><strong>{}</strong> <span class="muted">{}</span></p>{}'
        hidden = format_html('<input type="hidden" name="{}" value="{}">', name, known.upload)
        return format_html(kept, known.name, size, hidden) + chosen


class UploadField(forms.CharField):
    """A parameter that is a file."""

    widget = KeptFile
    keeps_file = True

    def prepare_value(self, value: Any) -> Any:
        """Return the id of an upload, however it is given."""
        if isinstance(value, Upload):
            return value.upload
        return value.get("upload") if isinstance(value, Mapping) else value

    def to_python(self, value: Any) -> Any:
        """Find the upload. Raises ValidationError when it is gone."""
        if not value:
            return None
        if value == uploads.TOO_LARGE:
            raise forms.ValidationError(
                _("The file is too large: at most %(most_mb)s MB are allowed.")
                % {"most_mb": numeral(uploads.most_mb())}
            )
        found = uploads.find(str(value))
        if found is None:
            raise forms.ValidationError(uploads.GONE)
        return found

    def clean(self, value: Any) -> Any:
        """Return the upload, or None where none is chosen and none is needed."""
        found = self.to_python(value)
        if found is None and self.required:
            raise forms.ValidationError(_("Choose a file."))
        return found


class ModelForm(forms.Form):
    """A form that a pydantic model was made into; once it is valid, `model` is the model made of it."""

    source: type[BaseModel]
    model: BaseModel

    def __init__(self, data: Mapping[str, Any] | None = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(data, *args, **kwargs)
        if isinstance(data, QueryDict):
            self.data = self._with_defaults(data)

    def _with_defaults(self, data: QueryDict) -> QueryDict:
        """Fill in fields that were not sent at all, as an older page or a script leaves them out."""
        filled = data.copy()
        for name, field in self.fields.items():
            key = self.add_prefix(name)
            if key not in filled and not isinstance(field, forms.BooleanField) and field.initial is not None:
                filled[key] = str(field.prepare_value(field.initial))
        return filled

    @property
    def groups(self) -> list[tuple[str, list[forms.BoundField]]]:
        """The fields in the groups that the model names, in the model's order; those of no group first."""
        found: dict[str, list[forms.BoundField]] = {"": []}
        for name, info in self.source.model_fields.items():
            extra = info.json_schema_extra
            group = str(extra.get("group", "")) if isinstance(extra, dict) else ""
            found.setdefault(group, []).append(self[name])
        return list(found.items())

    def clean(self) -> dict[str, Any]:
        """Validate as the model does, with its errors at its fields."""
        cleaned: dict[str, Any] = super().clean() or {}
        if self.errors:
            return cleaned
        given = {name: value for name, value in cleaned.items() if value is not None}
        try:
            self.model = self.source.model_validate(given)
        except ValidationError as error:
            for problem in error.errors():
                name = str(problem["loc"][0]) if problem["loc"] else None
                self.add_error(name if name in self.fields else None, plain_words(problem))
        return cleaned


def plain_words(problem: Mapping[str, Any]) -> str:
    """Return a pydantic error without pydantic's prefix."""
    return str(said(str(problem["msg"]).removeprefix("Value error, ")))


def form_of(model: type[BaseModel]) -> type[ModelForm]:
    """Make a form class of a model: its types, bounds, choices, titles, descriptions and defaults."""
    fields = {name: _field_of(name, info) for name, info in model.model_fields.items()}
    return type(f"{model.__name__}Form", (ModelForm,), {**fields, "source": model})


def title_of(name: str, info: FieldInfo) -> str:
    """Return what a field is called."""
    return info.title or name.replace("_", " ").capitalize()


def choice_title(each: Enum) -> str:
    """Return what a choice is called."""
    return str(each.value).replace("_", " ").capitalize()


def _field_of(name: str, info: FieldInfo) -> forms.Field:
    annotation, is_optional = _without_none(info.annotation)
    common: dict[str, Any] = {
        "label": said(title_of(name, info)),
        "help_text": said(info.description or ""),
        "initial": None if info.is_required() else _whole(info.get_default(call_default_factory=True)),
        "required": not is_optional and annotation in (int, float),
    }
    if get_origin(annotation) is Literal:
        return forms.ChoiceField(choices=[(each, said(str(each))) for each in get_args(annotation)], **common)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        choices = [(each.value, said(choice_title(each))) for each in annotation]
        return forms.ChoiceField(choices=choices, **common)
    if annotation is bool:
        return forms.BooleanField(**common | {"required": False})
    if annotation in (int, float):
        return _number_field(annotation, info, common)
    if annotation is str:
        return _text_field(info, common)
    if annotation is Secret:
        hint = _("The name of a secret, whose value workers have as %(variable)sNAME.") % {"variable": VARIABLE}
        common |= {"required": info.is_required(), "help_text": said(info.description or "") or hint}
        return forms.CharField(max_length=SECRET_LENGTH, **common)
    if annotation is Upload:
        return UploadField(**common | {"required": info.is_required()})
    if get_origin(annotation) is dict:
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        example = forms.Textarea({"placeholder": str(extra.get("placeholder", ""))})
        return LinesOfPairs(widget=example, **common | {"required": False})
    return forms.JSONField(**common | {"required": info.is_required()})


def _whole(default: Any) -> Any:
    """Return a number without a fraction that says nothing: 60, not 60.0."""
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
        widget = Suggested(str(what))
    return forms.CharField(max_length=longest, widget=widget, **common | {"required": info.is_required()})


class ItemsForm(forms.Form):
    """Where the items come from: pasted text, an upload (kept from an earlier try, too), or a number."""

    format = forms.ChoiceField(
        label=gettext_lazy("Given as"),
        choices=[
            (Format.CSV.value, gettext_lazy("CSV with a header")),
            (Format.LINES.value, gettext_lazy("Lines")),
            (Format.JSONL.value, "JSON Lines"),
            (Format.COUNT.value, gettext_lazy("A number of items")),
        ],
    )
    count = forms.IntegerField(label=gettext_lazy("Number of items"), required=False)
    text = forms.CharField(label=gettext_lazy("Paste items"), required=False, widget=forms.Textarea, strip=False)
    file = forms.FileField(label=gettext_lazy("Or choose a file"), required=False, allow_empty_file=True)
    upload = forms.CharField(required=False, widget=forms.HiddenInput)
    use_text = forms.BooleanField(label=gettext_lazy("Take what is pasted instead"), required=False)
    key = forms.CharField(label=gettext_lazy("Business key"), required=False, widget=forms.Select)
    label = forms.CharField(
        label=gettext_lazy("Label"), required=False, max_length=200, help_text=gettext_lazy("To find this batch again.")
    )
    leave_out = forms.BooleanField(label=gettext_lazy("Leave out the bad rows"), required=False)

    def offer_keys(self, columns: list[str]) -> None:
        """Let the key be chosen among columns."""
        choices = [("", _("First column") if self["format"].value() == Format.CSV else _("As found"))]
        choices += [(name, name) for name in columns] + [(ROW_NUMBER, _("Row number"))]
        self.fields["key"].widget.choices = choices

    def clean_file(self) -> UploadedFile[bytes] | None:
        """Refuse a file that is too large or empty, before reading it."""
        file: UploadedFile[bytes] | None = self.cleaned_data.get("file")
        if file is None:
            return None
        if problem := uploads.problem_of(file):
            raise forms.ValidationError(problem)
        if not file.size:
            raise forms.ValidationError(_("The file is empty."))
        return file

    def clean(self) -> dict[str, Any]:
        """Ask for a number, or for text or a file."""
        cleaned: dict[str, Any] = super().clean() or {}
        given = cleaned.get("format")
        if given == Format.COUNT:
            if cleaned.get("count") is None and "count" not in self.errors:
                self.add_error("count", _("How many items?"))
        elif not (cleaned.get("text", "").strip() or cleaned.get("file") or cleaned.get("upload") or self.errors):
            self.add_error("text", _("Paste items, or choose a file."))
        return cleaned
