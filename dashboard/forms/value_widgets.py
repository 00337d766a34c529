"""Widgets of values that take more than one input: text that may be None, and times with an offset from UTC."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

NONE, JSON, OFFSET = ".none", ".json", ".offset"
"""Suffixes of a field's name in the names of its further inputs. No field's name contains a dot."""

NATIVE = {
    "date": re.compile(r"\d{4}-\d\d-\d\d"),
    "datetime-local": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?"),
    "time": re.compile(r"\d\d:\d\d(:\d\d(\.\d{1,3})?)?"),
}
"""What the browser's own inputs hold; they show nothing of any other value."""


@dataclass(frozen=True)
class TextValue:
    """A text as it is typed: `is_none` says that there is none, `is_json` that it is written as JSON."""

    text: str
    is_none: bool = False
    is_json: bool = False


@dataclass(frozen=True)
class Moment:
    """A time without its offset from UTC, and the offset."""

    local: str
    offset: str = ""


class TextParts(forms.Textarea):
    """A text area of one line that grows, with a checkbox for None where `has_none` is set."""

    has_none = False

    def __init__(self, attrs: Any = None) -> None:
        super().__init__({"rows": 1, "class": "line", "spellcheck": "false"} | (attrs or {}))

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        """Return what was typed."""
        return TextValue(str(data.get(name) or ""), f"{name}{NONE}" in data, f"{name}{JSON}" in data)

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        """Whether neither text nor None was sent."""
        return name not in data and f"{name}{NONE}" not in data

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        """Return the text area and its further inputs."""
        typed = value if isinstance(value, TextValue) else TextValue(str(value or ""))
        markup = super().render(name, typed.text, attrs, renderer)
        if typed.is_json:
            note = _("Written as JSON: it has characters that a form cannot show.")
            hidden = '{}<input type="hidden" name="{}" value="1"><p class="help">{}</p>'
            markup = format_html(hidden, markup, f"{name}{JSON}", note)
        if self.has_none:
            box = '{}<label class="none"><input type="checkbox" name="{}" value="1"{}> {}</label>'
            checked = SafeString(" checked" if typed.is_none else "")
            markup = format_html(box, markup, f"{name}{NONE}", checked, _("None"))
        return markup

    def parts(self, name: str, shown: Any) -> dict[str, str]:
        """Return what a browser sends of a value that is shown."""
        if not isinstance(shown, TextValue):
            return {name: str(shown)}
        flags = {f"{name}{NONE}": shown.is_none, f"{name}{JSON}": shown.is_json}
        return {name: shown.text} | {flag: "1" for flag, is_set in flags.items() if is_set}


class NativeInput(forms.TextInput):
    """The browser's input of a type, or a text input for a value that it cannot hold."""

    def __init__(self, kind: str, attrs: Any = None) -> None:
        super().__init__(attrs)
        self.input_type = kind

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        """Return the context of the template."""
        context = super().get_context(name, value, attrs)
        text, holds = context["widget"]["value"] or "", NATIVE[self.input_type]
        if text and not holds.fullmatch(str(text)):
            context["widget"]["type"] = "text"
        elif self.input_type != "date":
            context["widget"]["attrs"]["step"] = "any" if "." in str(text) else "1"
        return context


class MomentInput(NativeInput):
    """A time or date with time, and its offset from UTC if it has one."""

    def __init__(self, kind: str = "datetime-local", attrs: Any = None) -> None:
        super().__init__(kind, attrs)

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        """Return what was typed."""
        return Moment(str(data.get(name) or ""), str(data.get(f"{name}{OFFSET}") or "").strip())

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        """Return the two inputs."""
        typed = value if isinstance(value, Moment) else Moment(str(value or ""))
        offset = forms.TextInput({"class": "offset", "placeholder": "+00:00", "aria-label": _("Offset from UTC")})
        return format_html(
            '<span class="moment">{}{}</span>',
            super().render(name, typed.local, attrs, renderer),
            offset.render(f"{name}{OFFSET}", typed.offset, None, renderer),
        )

    def parts(self, name: str, shown: Any) -> dict[str, str]:
        """Return what a browser sends of a value that is shown."""
        return {name: shown.local, f"{name}{OFFSET}": shown.offset} if isinstance(shown, Moment) else {name: str(shown)}
