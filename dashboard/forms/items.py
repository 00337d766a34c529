"""The form of a launch's items: pasted, uploaded, or a number."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from dashboard.inputs import uploads
from dashboard.inputs.dialect import ENCODINGS, NO_QUOTES, Dialect
from dashboard.inputs.source import ROW_NUMBER, Format

NO_HEADER = "none"
DIALECT_FIELDS = ("delimiter", "quote", "encoding", "header")
DELIMITER_NAMES = {
    ",": gettext_lazy("Comma"),
    ";": gettext_lazy("Semicolon"),
    "\t": gettext_lazy("Tab"),
    "|": gettext_lazy("Pipe |"),
    ":": gettext_lazy("Colon"),
}


def dialect_initial(dialect: Dialect) -> dict[str, str]:
    """Return the values of the fields that say how the text is to be read."""
    chosen = {"delimiter": dialect.delimiter, "quote": dialect.quote, "encoding": dialect.encoding}
    return chosen | {"header": "" if dialect.has_header else NO_HEADER}


def read_as(dialect: Dialect, *, is_csv: bool) -> list[tuple[str, str]]:
    """Return how a text was read, as names and values: of a CSV also what separates and quotes its cells."""
    encoding = (_("Encoding"), ENCODINGS.get(dialect.encoding, dialect.encoding))
    if not is_csv:
        return [encoding]
    delimiter = str(DELIMITER_NAMES.get(dialect.delimiter, dialect.delimiter))
    return [encoding, (_("Delimiter"), delimiter)]


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
    delimiter = forms.ChoiceField(
        label=gettext_lazy("Delimiter"),
        choices=[("", gettext_lazy("Detected")), *DELIMITER_NAMES.items()],
        required=False,
    )
    quote = forms.ChoiceField(
        label=gettext_lazy("Quotes"),
        choices=[("", '"'), ("'", "'"), (NO_QUOTES, gettext_lazy("None: quotes are text"))],
        required=False,
    )
    encoding = forms.ChoiceField(
        label=gettext_lazy("Encoding"), choices=[("", gettext_lazy("Detected")), *ENCODINGS.items()], required=False
    )
    header = forms.ChoiceField(
        label=gettext_lazy("Header"),
        choices=[("", gettext_lazy("First row")), (NO_HEADER, gettext_lazy("None"))],
        required=False,
    )

    @property
    def dialect(self) -> Dialect:
        """How the text of a valid form is to be read."""
        chosen = self.cleaned_data
        return Dialect(chosen["encoding"], chosen["delimiter"], chosen["quote"], chosen["header"] != NO_HEADER)

    @property
    def dialect_fields(self) -> list[forms.BoundField]:
        """The fields that say how the text is to be read."""
        return [self[name] for name in DIALECT_FIELDS]

    @property
    def has_dialect(self) -> bool:
        """Whether something other than the default was chosen for how to read the text, or is wrong with it."""
        return any(self[name].value() or self[name].errors for name in DIALECT_FIELDS)

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
