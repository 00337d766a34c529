"""What the pages of definitions show: the editor, a version with its outline, and the difference to the one before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import unified_diff

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.db.models import QuerySet
from django.forms import BoundField
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from dashboard.defining import NAME_LIMIT, NOTE_LIMIT, Checked
from dashboard.definition_examples import Example
from dashboard.definition_launching import FLOW_OPTIONS, definition_request
from dashboard.definition_models import DefinitionVersion, SavedDefinition
from dashboard.forms import ModelForm
from dashboard.launching import LaunchRequest
from dashboard.models import Batch
from orchestration.definition_outline import OutlineNode
from orchestration.definitions import MAX_TEXT_BYTES
from orchestration.plan import Plan

DIFF_LINES = 5_000
"""Lines of a text that are compared; above, comparing takes too long for a page."""

ICONS = {
    "pipeline": "funnel",
    "stage": "queue-list",
    "services": "server-stack",
    "service": "server",
    "saga": "arrow-uturn-left",
    "step": "arrow-down",
    "compensation": "arrow-uturn-left",
    "pool": "user-group",
    "entity": "identification",
    "steps": "list-bullet",
    "run": "play",
    "parallel": "view-columns",
    "if": "question-mark-circle",
    "branch": "arrow-turn-down-right",
    "loop": "arrow-path",
    "fan_out": "share",
    "approval": "hand-raised",
    "sleep": "clock",
}


class DefinitionForm(forms.Form):
    """A text, or a file instead of it. `base` is the number of the version that was edited."""

    name = forms.CharField(
        label=gettext_lazy("Name"), max_length=NAME_LIMIT, help_text=gettext_lazy("To find and launch it by.")
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
        help_text=gettext_lazy("What this version changes, and why."),
    )
    base = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def clean_file(self) -> str | None:
        """Read the file."""
        file: UploadedFile[bytes] | None = self.cleaned_data.get("file")
        if file is None:
            return None
        if (file.size or 0) > MAX_TEXT_BYTES:
            raise forms.ValidationError(
                _("The file is larger than %(max_text_bytes)s kB.") % {"max_text_bytes": MAX_TEXT_BYTES // 1024}
            )
        try:
            return str(file.read().decode("utf-8-sig"))
        except UnicodeDecodeError:
            raise forms.ValidationError(_("The file is not text in UTF-8.")) from None

    @property
    def given(self) -> str:
        """The text as a person gave it, of the file where there is one; whatever is wrong with the form."""
        of_file = self.cleaned_data.get("file") if self.is_bound and self.errors is not None else None
        return str(of_file or self["text"].value() or "")


@dataclass(frozen=True)
class OutlineRow:
    """One line of an outline in the order of the page. `closes` has one entry for each list that ends after it."""

    node: OutlineNode
    closes: Sequence[None]

    @property
    def icon(self) -> str:
        """Its heroicon."""
        return ICONS[self.node.kind]

    @property
    def word(self) -> str:
        """Its kind as a person reads it."""
        return self.node.kind.replace("_", " ")


def outline_rows(root: OutlineNode) -> list[OutlineRow]:
    """Return an outline as lines, so that a template need not recurse."""
    rows = list[OutlineRow]()
    stack = [(root, 0)]
    while stack:
        node, closes = stack.pop()
        rows.append(OutlineRow(node, [None] * (0 if node.children else closes)))
        for position, child in enumerate(reversed(node.children)):
            stack.append((child, closes + 1 if position == 0 else 0))
    return rows


@dataclass(frozen=True)
class Preview:
    """Context of the preview: a text and what is wrong with it, or its outline."""

    checked: Checked

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
class DiffLine:
    """One line of a difference: its sign ("+", "-", " ", or "@" for a gap), its text, its number in either text."""

    sign: str
    text: str
    before: int | None = None
    after: int | None = None


@dataclass(frozen=True)
class Diff:
    """What changed from one version to the next. `is_too_long`: it was not compared."""

    before: DefinitionVersion
    lines: Sequence[DiffLine] = ()
    is_too_long: bool = False


def diff_of(version: DefinitionVersion) -> Diff | None:
    """Compare a version with the one before; None for the first."""
    before = version.definition.versions.filter(number__lt=version.number).select_related("author").first()
    if before is None:
        return None
    old, new = before.text.splitlines(), version.text.splitlines()
    if max(len(old), len(new)) > DIFF_LINES:
        return Diff(before, is_too_long=True)
    return Diff(before, list(_diff_lines(old, new)))


def _diff_lines(old: list[str], new: list[str]) -> Iterator[DiffLine]:
    left, right = 0, 0
    for line in list(unified_diff(old, new, lineterm=""))[2:]:
        sign, text = line[:1], line[1:]
        if sign == "@":
            left, right = (int(part[1:].split(",")[0]) for part in line.split(" ")[1:3])
            yield DiffLine("@", line)
            continue
        yield DiffLine(sign, text, left if sign != "+" else None, right if sign != "-" else None)
        left, right = left + (sign != "+"), right + (sign != "-")


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


@dataclass
class LaunchDefinitionPage:
    """Context of the launch of a saved definition."""

    version: DefinitionVersion
    preview: Preview
    plan: ModelForm
    label: str
    key: str
    may_operate: bool

    @property
    def options(self) -> list[BoundField]:
        """The fields of the plan that matter here."""
        return [self.plan[name] for name in FLOW_OPTIONS]

    @property
    def refusal(self) -> str:
        """Why it cannot be launched, if so."""
        if self.preview.checked.definition is not None:
            return ""
        return _("This version is not valid any more: processors have changed since it was saved.")

    @property
    def is_valid(self) -> bool:
        """Whether it can be launched as it is filled."""
        return not self.refusal and self.plan.is_valid()

    def request(self) -> LaunchRequest:
        """Return what is to be launched; only for a valid page."""
        assert isinstance(self.plan.model, Plan)
        return definition_request(self.version, self.plan.model, self.label, f"{self.key}:definition", "form")
