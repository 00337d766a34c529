"""Form fields that Django does not have: pairs a line, suggestions, files that are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from dashboard.i18n.formatting import numeral
from dashboard.inputs import uploads
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
                raise forms.ValidationError(
                    _("Line %(number)s does not have the form Name: value.") % {"number": number}
                )
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
        known = uploads.find_upload(str(value)) if value else None
        chosen = super().render(f"{name}{uploads.FILE_INPUT_SUFFIX}", None, attrs, renderer)
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
                _("The file is too large: the limit is %(limit)s MB.") % {"limit": numeral(uploads.most_mb())}
            )
        found = uploads.find_upload(str(value))
        if found is None:
            raise forms.ValidationError(uploads.GONE)
        return found

    def clean(self, value: Any) -> Any:
        """Return the upload, or None where none is chosen and none is needed."""
        found = self.to_python(value)
        if found is None and self.required:
            raise forms.ValidationError(_("Choose a file."))
        return found
