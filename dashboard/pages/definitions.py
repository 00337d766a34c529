"""Contexts of the definition pages: the list, the editor, and a version with its outline and diff."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.core.paginator import Page
from django.db.models import QuerySet

from dashboard.definitions.examples import Example
from dashboard.definitions.saving import CheckedText
from dashboard.forms.definitions import DefinitionForm
from dashboard.models import Batch, DefinitionVersion, SavedDefinition
from dashboard.pages.definition_diff import Diff
from dashboard.pages.outline import OutlineRow, outline_rows
from orchestration.definitions.shown_text import text_without_credentials


@dataclass(frozen=True)
class Preview:
    """Context of the preview: the outline of a text, or its errors."""

    checked: CheckedText

    @property
    def rows(self) -> list[OutlineRow]:
        """The lines of its outline."""
        outline = self.checked.outline
        return outline_rows(outline) if outline is not None else []

    @property
    def is_empty(self) -> bool:
        """Whether there is neither text nor an attempt to save it."""
        return not self.checked.text.strip() and not self.checked.errors


@dataclass(frozen=True)
class EditorPage:
    """Context of the editor, for a new definition or a new version of `saved`."""

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
        """The line numbers of the text, from 1."""
        return range(1, self.text.count("\n") + 2)


@dataclass(frozen=True)
class VersionPage:
    """Context of a version's page. Its preview has errors if processors have changed since it was saved."""

    version: DefinitionVersion
    preview: Preview
    versions: QuerySet[DefinitionVersion]
    diff: Diff | None
    batches: QuerySet[Batch]
    may_operate: bool

    @property
    def lines(self) -> list[str]:
        """The lines of its text."""
        text = self.version.text if self.may_operate else text_without_credentials(self.version.text)
        return text.removesuffix("\n").split("\n")

    @property
    def is_newest(self) -> bool:
        """Whether there is no later version."""
        return bool(self.version.number == self.version.definition.newest)


@dataclass(frozen=True)
class DefinitionListPage:
    """Context of the list: the newest version of each definition."""

    page: Page[DefinitionVersion]
    text: str
    may_operate: bool
