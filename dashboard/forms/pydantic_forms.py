"""Forms generated from pydantic models, with the models' errors at their fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django import forms
from django.http import QueryDict
from pydantic import BaseModel, ValidationError
from pydantic_core import to_jsonable_python

from dashboard.errors import reasons_by_field
from dashboard.forms.model_fields import field_of
from dashboard.forms.stored_values import LEFT_OUT, Stored
from orchestration.processors.credentials import masked_credentials, refuse_credentials
from orchestration.processors.parameters import names_of, read_parameters, schema_of, stored_defaults


class PydanticForm(forms.Form):
    """A form generated from a pydantic model; once it is valid, `model` is the validated instance.

    Its fields are not attributes of the class, so that a model's field may have any name.
    """

    source: type[BaseModel]
    model: BaseModel
    conditions: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {}
    """Fields that apply only with other values: what is wrong with such a field does not matter where it does not."""

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        prefix: str | None = None,
        initial: Mapping[str, Any] | None = None,
        kept: Mapping[str, Any] | None = None,
    ) -> None:
        """Take submitted data, or the initial values by field or alias, as they are stored.

        Of what is stored already, `kept`, a credential stays as it is where it is submitted as it is shown: masked.
        """
        self.kept = kept or {}
        given = {name: Stored(to_jsonable_python(value, fallback=str)) for name, value in (initial or {}).items()}
        names = self._names()
        super().__init__(data, prefix=prefix, initial={names.get(name, name): value for name, value in given.items()})
        if isinstance(data, QueryDict):
            self.data = self._with_defaults(data)

    def _with_defaults(self, data: QueryDict) -> QueryDict:
        """Fill in fields that were not submitted, as an older page or a script leaves them out."""
        filled = data.copy()
        for name, field in self.fields.items():
            key = self.add_prefix(name)
            is_sent = not field.widget.value_omitted_from_data(data, self.files, key)
            if is_sent or isinstance(field, forms.BooleanField) or field.initial is None:
                continue
            shown = field.prepare_value(field.initial)
            parts = (
                field.widget.parts(key, shown)
                if hasattr(field.widget, "parts")
                else {key: "" if shown is None else str(shown)}
            )
            for part, text in parts.items():
                filled[part] = text
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
        idle = self._idle_fields(cleaned)
        for name in idle & set(self.errors):
            del self.errors[name]
        if self.errors:
            return cleaned
        given = {name: value for name, value in cleaned.items() if value is not LEFT_OUT}
        problem = self._problem_of(given)
        if problem is not None and idle & set(given):
            problem = self._problem_of({name: value for name, value in given.items() if name not in idle})
        if problem is not None:
            self._add_reasons(problem)
        return cleaned

    def _idle_fields(self, cleaned: Mapping[str, Any]) -> set[str]:
        """Return the fields that do not apply: a page does not show them, whatever is still in them."""
        return {name for name, applies in self.conditions.items() if not applies(cleaned)}

    def _problem_of(self, given: dict[str, Any]) -> ValidationError | None:
        """Set the model, or return what is wrong with the values."""
        try:
            self.model = self._validated(given)
        except ValidationError as error:
            return error
        return None

    def _add_reasons(self, error: ValidationError) -> None:
        names = self._names()
        for path, reasons in reasons_by_field(error.errors(include_context=False, include_input=False)).items():
            name = path.partition(".")[0]
            place = names.get(name, name)
            self.add_error(place if place in self.fields else None, reasons)

    def _validated(self, given: dict[str, Any]) -> BaseModel:
        shown = masked_credentials(self.source, self.kept)
        hidden = {name for name, value in self.kept.items() if shown[name] != value}
        unchanged = {name for name in hidden & set(given) if _plain_lines(given[name]) == _plain_lines(shown[name])}
        model = read_parameters(self.source, given | {name: self.kept[name] for name in unchanged})
        refuse_credentials(model, set(self.source.model_fields) - unchanged)
        return model

    @classmethod
    def _names(cls) -> dict[str, str]:
        """Return the fields' names by their aliases."""
        found = {each: name for name, info in cls.source.model_fields.items() for each in names_of(name, info)}
        return found | {name: name for name in cls.source.model_fields}


def _plain_lines(value: Any) -> Any:
    """Return a text with the ends of lines that it had before a browser submitted it."""
    return value.replace("\r\n", "\n") if isinstance(value, str) else value


def form_of(model: type[BaseModel]) -> type[PydanticForm]:
    """Return the form class of a model: fields by its types, bounds, choices, titles, descriptions and defaults."""
    defaults, parts = stored_defaults(model), _schemas(model)
    made = type(f"{model.__name__}Form", (PydanticForm,), {"source": model})
    assert issubclass(made, PydanticForm)
    made.base_fields = {
        name: field_of(name, info, parts.get(name, {}), Stored(defaults[name]) if name in defaults else None)
        for name, info in model.model_fields.items()
    }
    return made


def _schemas(model: type[BaseModel]) -> dict[str, dict[str, Any]]:
    """Return the JSON schema of each field, without references and null."""
    whole = schema_of(model, by_alias=False)
    return {name: _plain(part, whole.get("$defs", {})) for name, part in whole.get("properties", {}).items()}


def _plain(part: dict[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    if "$ref" in part:
        return _plain(known.get(part["$ref"].rpartition("/")[2], {}), known)
    options = [each for each in part.get("anyOf", ()) if each != {"type": "null"}]
    return _plain(options[0], known) if len(options) == 1 else part
