"""The form of a launch's items: pasted, uploaded, or a number."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from dashboard.inputs import uploads
from dashboard.inputs.source import ROW_NUMBER, Format


class ItemsForm(forms.Form):
    """The source of the items: pasted text, an upload (also of an earlier submission), or a number."""

    format = forms.ChoiceField(
        label=gettext_lazy("Input format"),
        choices=[
            (Format.CSV.value, gettext_lazy("CSV with a header")),
            (Format.LINES.value, gettext_lazy("Lines")),
            (Format.JSONL.value, "JSON Lines"),
            (Format.COUNT.value, gettext_lazy("Number of items")),
        ],
    )
    count = forms.IntegerField(label=gettext_lazy("Number of items"), required=False)
    text = forms.CharField(label=gettext_lazy("Items"), required=False, widget=forms.Textarea, strip=False)
    file = forms.FileField(label=gettext_lazy("Or choose a file"), required=False, allow_empty_file=True)
    upload = forms.CharField(required=False, widget=forms.HiddenInput)
    use_text = forms.BooleanField(label=gettext_lazy("Use the pasted items instead"), required=False)
    key = forms.CharField(label=gettext_lazy("Business key"), required=False, widget=forms.Select)
    label = forms.CharField(
        label=gettext_lazy("Label"),
        required=False,
        max_length=200,
        help_text=gettext_lazy("Optional name shown in lists."),
    )
    leave_out = forms.BooleanField(label=gettext_lazy("Leave out invalid rows"), required=False)

    def set_key_choices(self, columns: list[str]) -> None:
        """Offer the columns as choices of the key."""
        choices = [("", _("First column") if self["format"].value() == Format.CSV else _("Detected"))]
        choices += [(name, name) for name in columns] + [(ROW_NUMBER, _("Row number"))]
        self.fields["key"].widget.choices = choices

    def clean_file(self) -> UploadedFile[bytes] | None:
        """Reject a file that is too large or empty before reading it."""
        file: UploadedFile[bytes] | None = self.cleaned_data.get("file")
        if file is None:
            return None
        if problem := uploads.size_problem(file):
            raise forms.ValidationError(problem)
        if not file.size:
            raise forms.ValidationError(_("The file is empty."))
        return file

    def clean(self) -> dict[str, Any]:
        """Require a number, or text or a file."""
        cleaned: dict[str, Any] = super().clean() or {}
        given = cleaned.get("format")
        if given == Format.COUNT:
            if cleaned.get("count") is None and "count" not in self.errors:
                self.add_error("count", _("Enter the number of items."))
        elif not (cleaned.get("text", "").strip() or cleaned.get("file") or cleaned.get("upload") or self.errors):
            self.add_error("text", _("Paste items or choose a file."))
        return cleaned
