"""What the pages of definitions show: the editor, a version with its outline, and the difference to the one before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from dashboard.definitions.examples import Example
from dashboard.definitions.saving import NAME_LIMIT, NOTE_LIMIT, CheckedText
from dashboard.models import Batch, DefinitionVersion, SavedDefinition
from dashboard.pages.definition_diff import Diff
from dashboard.pages.outline import OutlineRow, outline_rows
from orchestration.definitions.models import MAX_TEXT_BYTES


class DefinitionForm(forms.Form):
    """A text, or a file instead of it. `base` is the number of the version that was edited."""

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
        """Read the file."""
        file: UploadedFile[bytes] | None = self.cleaned_data.get("file")
        if file is None:
            return None
        if (file.size or 0) > MAX_TEXT_BYTES:
            raise forms.ValidationError(_("The file is larger than %(limit)s kB.") % {"limit": MAX_TEXT_BYTES // 1024})
        try:
            return str(file.read().decode("utf-8-sig"))
        except UnicodeDecodeError:
            raise forms.ValidationError(_("The file is not UTF-8 text.")) from None

    @property
    def given(self) -> str:
        """The text as a person gave it, of the file where there is one; whatever is wrong with the form."""
        of_file = self.cleaned_data.get("file") if self.is_bound and self.errors is not None else None
        return str(of_file or self["text"].value() or "")


@dataclass(frozen=True)
class Preview:
    """Context of the preview: a text and what is wrong with it, or its outline."""

    checked: CheckedText

    @property
    def rows(self) -> list[OutlineRow]:
        """Its outline's lines."""
        outline = self.checked.outline
        return outline_rows(outline) if outline is not None else []

    @property
    def is_empty(self) -> bool:
        """Whether nothing has been typed yet, and nobody wants to save it."""
        return not self.checked.text.strip() and not self.checked.errors


@dataclass(frozen=True)
class EditorPage:
    """Context of the editor, of a new definition or of a version to come of `saved`."""

    form: DefinitionForm
    preview: Preview
    may_operate: bool
    saved: SavedDefinition | None = None
    examples: Sequence[Example] = ()
    example: str = ""

    @property
    def text(self) -> str:
        """The text in the editor."""
        return self.preview.checked.text

    @property
    def line_numbers(self) -> range:
        """From 1 to the last line."""
        return range(1, self.text.count("\n") + 2)


@dataclass(frozen=True)
class VersionPage:
    """Context of a version's page. Its preview has errors when processors have changed since it was saved."""

    version: DefinitionVersion
    preview: Preview
    versions: QuerySet[DefinitionVersion]
    diff: Diff | None
    batches: QuerySet[Batch]
    may_operate: bool

    @property
    def lines(self) -> list[str]:
        """The lines of its text."""
        return self.version.text.removesuffix("\n").split("\n")

    @property
    def is_newest(self) -> bool:
        """Whether there is no later version."""
        return bool(self.version.number == self.version.definition.newest)


"""What of a plan a flow of its own goes by: attempts and timeouts of its steps, and where they run."""
