"""The form of a definition's editor: a text, or a file instead of it."""

from __future__ import annotations

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from dashboard.definitions.saving import NAME_LIMIT, NOTE_LIMIT
from dashboard.i18n.formatting import numeral
from orchestration.definitions.models import MAX_TEXT_BYTES


class DefinitionForm(forms.Form):
    """A name, a text or a file, and a note. `base` is the number of the version that was edited."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=NAME_LIMIT,
        help_text=gettext_lazy("Shown in lists and in the launch form."),
    )
    text = forms.CharField(
        label=gettext_lazy("Definition"),
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"spellcheck": "false", "wrap": "off", "autocapitalize": "off", "rows": 24}),
    )
    file = forms.FileField(label=gettext_lazy("Or choose a file"), required=False, allow_empty_file=True)
    note = forms.CharField(
        label=gettext_lazy("Note"),
        required=False,
        max_length=NOTE_LIMIT,
        help_text=gettext_lazy("What this version changes and why."),
    )
    base = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def clean_file(self) -> str | None:
        """Return the text of the file."""
        file: UploadedFile[bytes] | None = self.cleaned_data.get("file")
        if file is None:
            return None
        if (file.size or 0) > MAX_TEXT_BYTES:
            limit = numeral(MAX_TEXT_BYTES // 1024**2)
            raise forms.ValidationError(_("The file is too large: the limit is %(limit)s MB.") % {"limit": limit})
        try:
            return str(file.read().decode("utf-8-sig"))
        except UnicodeDecodeError:
            raise forms.ValidationError(_("The file is not UTF-8 text.")) from None

    @property
    def submitted_text(self) -> str:
        """The text of the file if there is one, else of the field; also of an invalid form."""
        of_file = self.cleaned_data.get("file") if self.is_bound and self.errors is not None else None
        return str(of_file or self["text"].value() or "")
