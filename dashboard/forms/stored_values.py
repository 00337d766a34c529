"""Form fields that show a stored JSON value exactly, and return it from what a browser sends."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.translation import gettext as _

from dashboard.forms.value_widgets import Moment, MomentInput, TextParts, TextValue
from dashboard.i18n.formatting import StrOrPromise
from dashboard.inputs.strict_json import InvalidJson, read_json

OFFSET = re.compile(r"(Z|[+-]\d\d:?\d\d)$", re.IGNORECASE)
CLOCK = re.compile(r"^P(?:(\d+)D)?T?(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(\.\d+)?S)?$")
UNSHOWABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""Characters that a text area changes or hides. Text with one of them is shown as JSON."""

LEFT_OUT = object()
"""Cleaned value of a field that was left at a default which is not shown."""


@dataclass(frozen=True)
class Stored:
    """A value as it is stored, in contrast to what was typed."""

    value: Any


class StoredField(forms.Field):
    """A field that shows stored values. With `takes_none` an empty one is None, with `is_computed` it is left out."""

    takes_none = False
    is_computed = False

    def prepare_value(self, value: Any) -> Any:
        """Return what the widget shows of a stored value, or of what was typed."""
        return self.show(value.value) if isinstance(value, Stored) else value

    def show(self, value: Any) -> Any:
        """Return what the widget shows of a stored value."""
        return "" if value is None else str(value)

    def clean(self, value: Any) -> Any:
        """Return the stored value, None, or LEFT_OUT. Raises ValidationError."""
        if value in self.empty_values and self.is_computed:
            return LEFT_OUT
        if value in self.empty_values and self.takes_none:
            return None
        return super().clean(value)


class Switch(StoredField, forms.BooleanField):
    """A checkbox."""

    def show(self, value: Any) -> Any:
        """Return whether it is checked."""
        return value is True or value == "true"


class WholeNumber(StoredField, forms.IntegerField):
    """A whole number of any size."""


class FloatNumber(StoredField, forms.FloatField):
    """A floating-point number."""

    def show(self, value: Any) -> Any:
        """Return it without a zero fraction: 60, not 60.0."""
        is_whole = isinstance(value, float) and value.is_integer() and abs(value) < 1e15
        return super().show(int(value) if is_whole else value)


class TextOf(StoredField, forms.CharField):
    """A value that is stored as text: of a number with decimals, an id, a path, an address, a date."""


class ExactText(StoredField, forms.CharField):
    """Text with all its blanks, line breaks and other characters; `has_none` offers None beside it."""

    has_none = False

    def show(self, value: Any) -> Any:
        """Return the text, as JSON if a text area would change it."""
        if not isinstance(self.widget, TextParts):
            return super().show(value)
        if value is None:
            return TextValue("", is_none=self.has_none)
        text = str(value)
        return TextValue(json.dumps(text), is_json=True) if UNSHOWABLE.search(text) else TextValue(text)

    def clean(self, value: Any) -> Any:
        """Return the text, or None. Raises ValidationError, also where both were given."""
        typed = value if isinstance(value, TextValue) else TextValue(str(value or ""))
        if typed.is_none and typed.text:
            raise forms.ValidationError(_("Clear the text, or untick None."))
        if typed.is_none or (self.takes_none and not self.has_none and not typed.text):
            return None
        if self.is_computed and not typed.text:
            return LEFT_OUT
        if typed.is_json:
            return forms.CharField.clean(self, self._unquoted(typed.text))
        return forms.CharField.clean(self, typed.text.replace("\r\n", "\n"))

    def _unquoted(self, text: str) -> str:
        value = None
        with suppress(InvalidJson):
            value = read_json(text)
        if not isinstance(value, str):
            raise forms.ValidationError(_("Enter the text as JSON, in double quotes."))
        return value


class MomentField(StoredField, forms.CharField):
    """A time or a date with time, and its offset from UTC."""

    widget = MomentInput

    def show(self, value: Any) -> Any:
        """Return time and offset."""
        text = "" if value is None else str(value)
        found = OFFSET.search(text)
        return Moment(text[: found.start()], found[1]) if found else Moment(text)

    def clean(self, value: Any) -> Any:
        """Return time and offset as one text."""
        typed = value if isinstance(value, Moment) else Moment(str(value or ""))
        return super().clean(f"{typed.local}{typed.offset}" if typed.local else "")


class DurationField(StoredField, forms.CharField):
    """A duration."""

    def show(self, value: Any) -> Any:
        """Return hours, minutes and seconds, or ISO 8601 for longer and negative ones."""
        found = CLOCK.fullmatch(str(value))
        if value is None or found is None or found[1] or found[5] or value == "P":
            return super().show(value)
        seconds = int(found[2] or 0) * 3600 + int(found[3] or 0) * 60 + int(found[4] or 0)
        if seconds >= 86_400:
            return super().show(value)
        return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


class JsonValue(StoredField, forms.CharField):
    """Any JSON; `empty` is what an empty field stands for."""

    widget = forms.Textarea
    empty: Any = None

    def show(self, value: Any) -> Any:
        """Return it as JSON; nothing for None where that is what nothing stands for."""
        return "" if value is None and self.empty is None else json_text(value)

    def to_python(self, value: Any) -> Any:
        """Return the value. Raises ValidationError for what is not JSON."""
        if not str(value or "").strip():
            return self.empty
        try:
            return read_json(value)
        except InvalidJson as error:
            raise forms.ValidationError(str(error)) from error

    def validate(self, value: Any) -> None:
        """Accept null and empty lists, which are values."""
        if value is None and self.required:
            raise forms.ValidationError(self.error_messages["required"], code="required")

    def run_validators(self, value: Any) -> None:
        """Do nothing: the validators are those of text."""


class PairsField(JsonValue):
    """A mapping of text to text, one "Name: value" per line, or as JSON where lines cannot say it."""

    def show(self, value: Any) -> Any:
        """Return the mapping as lines."""
        if not isinstance(value, Mapping) or (self.takes_none and not value):
            return super().show(value)
        lines = "\n".join(f"{name}: {text}" for name, text in value.items())
        try:
            is_exact = self.to_python(lines) == value and not UNSHOWABLE.search(lines)
        except forms.ValidationError:
            is_exact = False
        return lines if is_exact else json_text(value)

    def to_python(self, value: Any) -> Any:
        """Return the mapping. Raises ValidationError for a line without a colon."""
        text = str(value or "").strip()
        if text.startswith("{"):
            with suppress(InvalidJson):  # then it is lines, of which the first name begins with a brace
                return read_json(text)
        return super().to_python(value) if not text else _pairs(text)


def _pairs(text: str) -> dict[str, str]:
    pairs = {}
    for number, line in enumerate(text.splitlines(), start=1):
        name, colon, value = line.partition(":")
        if line.strip() and not (colon and name.strip()):
            raise forms.ValidationError(_("Line %(number)s does not have the form Name: value.") % {"number": number})
        if line.strip():
            pairs[name.strip()] = value.strip()
    return pairs


class Choice(StoredField, forms.ChoiceField):
    """One of some JSON values. Each has a token of its own in the form, also those that look alike as text."""

    def __init__(self, values: Sequence[tuple[Any, StrOrPromise]], *, blank: StrOrPromise = "", **options: Any) -> None:
        """Take values with their titles, and the title of the first choice that stands for none of them, if any."""
        texts = [str(value) for value, _ in values]
        tokens = [text if texts.count(text) == 1 else f"{text} #{at}" for at, text in enumerate(texts)]
        self.blank = "" if "" not in tokens else "…"
        self._values = {token: value for token, (value, _) in zip(tokens, values, strict=True)}
        choices = [(token, title) for token, (_, title) in zip(tokens, values, strict=True)]
        super().__init__(choices=[(self.blank, blank), *choices] if blank else choices, **options)

    def show(self, value: Any) -> Any:
        """Return the token of a value."""
        equal = (token for token, each in self._values.items() if each == value and type(each) is type(value))
        return next(equal, self.blank if value is None else str(value))

    def clean(self, value: Any) -> Any:
        """Return the chosen value, None, or LEFT_OUT. Raises ValidationError."""
        token = "" if value is None else str(value)
        if token in self._values:
            return self._values[token]
        if token in ("", self.blank):
            if self.is_computed:
                return LEFT_OUT
            if self.takes_none:
                return None
        return super().clean("" if token == self.blank else token)


class HiddenSecret(StoredField, forms.CharField):
    """The value of a secret, which is neither shown nor taken: the function's own default applies."""

    widget = forms.PasswordInput

    def clean(self, value: Any) -> Any:
        """Leave it out."""
        return LEFT_OUT


def json_text(value: Any) -> str:
    """Return a value as JSON on one line, or on several if it is long."""
    short = json.dumps(value, ensure_ascii=bool(UNSHOWABLE.search(json.dumps(value, ensure_ascii=False))))
    return short if len(short) <= 80 else json.dumps(value, indent=2, ensure_ascii=short.isascii())
