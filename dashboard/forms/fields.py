"""Form fields for text with suggestions, and for uploads that a form keeps when it is shown again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from dashboard.forms.stored_values import Stored
from dashboard.i18n.formatting import numeral
from dashboard.inputs import uploads
from orchestration.processors.uploads import Upload

SECRET_LENGTH = 1_000
"""Far longer than a name, so that a value which is not a name gets an error instead of being cut."""

BOUND_ERRORS = {
    "min_value": gettext_lazy("Enter %(limit_value)s or more."),
    "max_value": gettext_lazy("Enter %(limit_value)s or less."),
}
"""What is said of a number out of bounds."""


class SuggestInput(forms.TextInput):
    """A text input with suggestions from the `suggestions` view; any value may be typed."""

    def __init__(self, what: str) -> None:
        super().__init__({"autocomplete": "off", "spellcheck": "false"})
        self._what = what

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        """Return the input and its datalist, which htmx fetches on focus and while typing."""
        options = f"{(attrs or {}).get('id', name)}-suggestions"
        htmx = {
            "list": options,
            "hx-get": reverse("suggestions", args=[self._what]),
            "hx-trigger": "focus once, input changed delay:200ms",
            "hx-target": f"#{options}",
            "hx-swap": "innerHTML",
            "hx-sync": "this:replace",
        }
        field = super().render(name, value, {**(attrs or {}), **htmx}, renderer)
        return format_html('{}<datalist id="{}"></datalist>', field, options)


class UploadInput(forms.FileInput):
    """A file input that shows the stored upload and submits its id."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        """Return the id of the stored upload."""
        return data.get(name)

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        """Return the input, below the stored upload if there is one."""
        known = uploads.find_upload(str(value)) if value else None
        file_input = super().render(f"{name}{uploads.FILE_INPUT_SUFFIX}", None, attrs, renderer)
        if known is None:
            return file_input
        size = _("%(size)s, uploaded") % {"size": filesizeformat(known.size)}
        markup = '<p class="kept"><strong>{}</strong> <span class="muted">{}</span></p>{}'
        hidden = format_html('<input type="hidden" name="{}" value="{}">', name, known.upload)
        return format_html(markup, known.name, size, hidden) + file_input


class UploadField(forms.CharField):
    """A parameter that is an upload."""

    widget = UploadInput
    is_upload = True

    def prepare_value(self, value: Any) -> Any:
        """Return the id of an upload, from an Upload, a mapping or an id."""
        value = value.value if isinstance(value, Stored) else value
        if isinstance(value, Upload):
            return value.upload
        return value.get("upload") if isinstance(value, Mapping) else value

    def to_python(self, value: Any) -> Any:
        """Return the upload. Raises ValidationError if it does not exist any more."""
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
        """Return the upload, or None if none is chosen and none is required."""
        found = self.to_python(value)
        if found is None and self.required:
            raise forms.ValidationError(_("Choose a file."))
        return found
