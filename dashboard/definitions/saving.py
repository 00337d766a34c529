"""Saving definitions and their versions, for form and API: checks the text, the name, and concurrent edits."""

from __future__ import annotations

import json
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from dashboard.accounts.permissions import Person, may_operate, require_operator
from dashboard.database.sanitising import text as storable_text
from dashboard.errors import FieldErrors
from dashboard.models import DefinitionVersion, SavedDefinition
from orchestration.definitions.models import Definition
from orchestration.definitions.outline import OutlineNode, outline
from orchestration.definitions.parser import parse
from orchestration.definitions.shown_text import text_without_credentials
from orchestration.definitions.source_tree import DefinitionError, DefinitionErrors
from orchestration.processors.catalogue import processors

NAME_LIMIT = 100
NOTE_LIMIT = 200


@dataclass(frozen=True)
class CheckedText:
    """A text, and either the definition parsed from it or its errors."""

    text: str
    definition: Definition | None = None
    errors: tuple[DefinitionError, ...] = ()

    @property
    def outline(self) -> OutlineNode | None:
        """What the definition does, as a tree."""
        return outline(self.definition) if self.definition is not None else None


def check(text: str, *, is_new: bool = False) -> CheckedText:
    """Parse a text, and return its definition or its errors; one that `is_new` may contain no credentials."""
    try:
        return CheckedText(text, parse(text, processors(), is_new=is_new))
    except DefinitionErrors as error:
        return CheckedText(text, errors=error.errors)


def shown_text(text: str, person: Person | None) -> str:
    """Return the text of a saved definition as a person sees it: viewers see no credentials."""
    return text if may_operate(person) else text_without_credentials(text)


def create(person: Person, name: str, text: str, note: str = "") -> DefinitionVersion:
    """Save a new definition, as version 1. Raises PermissionDenied, DefinitionErrors, FieldErrors."""
    operator = require_operator(person)
    name = storable_text(name).strip()
    if not 1 <= len(name) <= NAME_LIMIT:
        raise FieldErrors({"name": _("Enter a name of 1 to %(limit)s characters.") % {"limit": NAME_LIMIT}})
    definition = parse(text, processors(), is_new=True)
    if SavedDefinition.objects.filter(name=name).exists():
        raise FieldErrors({"name": _('A definition named "%(name)s" already exists.') % {"name": name}})
    try:
        with transaction.atomic():
            saved = SavedDefinition.objects.create(name=name, created_by=operator)
            return _add(saved, operator, definition.kind, text, note)
    except IntegrityError as error:
        raise FieldErrors({"name": _('A definition named "%(name)s" already exists.') % {"name": name}}) from error


def add_version(
    person: Person, saved: SavedDefinition, text: str, note: str = "", *, base: int | None = None
) -> DefinitionVersion:
    """Save another version. `base` is the number of the version that was edited.

    Raises PermissionDenied, DefinitionErrors, and FieldErrors, also if `base` is no longer the newest version.
    """
    operator = require_operator(person)
    definition = parse(text, processors(), is_new=True)
    try:
        with transaction.atomic():
            saved.refresh_from_db()
            newest = saved.versions.get(number=saved.newest)
            if base is not None and base != newest.number:
                author = newest.author.get_username()
                message = _(
                    "%(author)s saved version %(number)s in the meantime. Compare, then save again to make yours the "
                    "latest version."
                ) % {"author": author, "number": newest.number}
                raise FieldErrors({"text": message})
            if newest.text == _with_newlines(text):
                raise FieldErrors(
                    {"text": _("Nothing to save: version %(number)s has the same text.") % {"number": newest.number}}
                )
            return _add(saved, operator, definition.kind, text, note)
    except IntegrityError as error:
        raise FieldErrors({"text": _("Another version was saved at the same time. Save again.")}) from error


def _add(saved: SavedDefinition, operator: User, kind: str, text: str, note: str) -> DefinitionVersion:
    if len(note) > NOTE_LIMIT:
        raise FieldErrors({"note": _("Enter at most %(limit)s characters.") % {"limit": NOTE_LIMIT}})
    saved.newest += 1
    saved.save(update_fields=["newest"])
    return DefinitionVersion.objects.create(
        definition=saved,
        number=saved.newest,
        kind=kind,
        text=_with_newlines(text),
        note=storable_text(note).strip(),
        author=operator,
    )


def _with_newlines(text: str) -> str:
    """Return a text with line feeds at its line ends, where a browser's form has CRLF."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def save_generated(operator: User, name: str, definition: Definition, note: str) -> DefinitionVersion:
    """Return the version of the saved definition `name` with this content, saved if there is none yet.

    The text is JSON of the fields that are set. It is not parsed and checked again.
    """
    text = json.dumps(definition.model_dump(mode="json", by_alias=True, exclude_unset=True), indent=1)
    known = DefinitionVersion.objects.filter(definition__name=name, text=text).first()
    if known is not None:
        return known
    with transaction.atomic():
        saved, _created = SavedDefinition.objects.select_for_update().get_or_create(
            name=name, defaults={"created_by": operator}
        )
        return _add(saved, operator, definition.kind, text, note)
