"""The tags and the note of a batch. Both are for people only, and do not affect how it runs."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction
from django.utils.translation import gettext as _

from dashboard.accounts.audit import record
from dashboard.accounts.permissions import Person, require_operator
from dashboard.database.sanitising import text
from dashboard.errors import OperationError
from dashboard.i18n.formatting import numeral
from dashboard.models import MOST_TAGS, TAG_LENGTH, Batch, BatchTag

NOTE_LENGTH = 10_000
MOST_SEPARATORS = 10 * MOST_TAGS
"""Commas of a text of tags: some may stand twice, or name a tag twice."""


def read_tags(typed: str) -> list[str]:
    """Return the tags of a comma-separated text. Raises OperationError (422 for too many)."""
    if typed.count(",") > MOST_SEPARATORS:
        raise _too_many()
    return list(dict.fromkeys(" ".join(name.split()) for name in typed.split(",") if name.strip()))


def set_tags(person: Person, batch: Batch, names: Sequence[str]) -> None:
    """Replace the tags of a batch. Raises PermissionDenied, OperationError (422 for one that is too long)."""
    operator = require_operator(person)
    names = _checked(names)
    with transaction.atomic():
        before = set(batch.tags.values_list("name", flat=True))
        if before == set(names):
            return
        batch.tags.exclude(name__in=names).delete()
        BatchTag.objects.bulk_create([BatchTag(batch=batch, name=name) for name in names], ignore_conflicts=True)
        record(operator, batch, "tag", ", ".join(names), outcome="")


def add_tags(person: Person, batch: Batch, names: Sequence[str]) -> None:
    """Add tags to those of a batch. Raises as `set_tags` does."""
    set_tags(person, batch, list(dict.fromkeys([*batch.tags.values_list("name", flat=True), *names])))


def set_note(person: Person, batch: Batch, note: str) -> None:
    """Replace the note of a batch. Raises PermissionDenied, OperationError (422 for one that is too long)."""
    operator = require_operator(person)
    note = text(note.strip().replace("\r\n", "\n"))
    if len(note) > NOTE_LENGTH:
        raise OperationError(
            _("A note may have at most %(limit)s characters; this one has %(length)s.")
            % {"limit": numeral(NOTE_LENGTH), "length": numeral(len(note))},
            422,
        )
    if note != batch.note:
        Batch.objects.filter(pk=batch.pk).update(note=note)
        record(operator, batch, "note", outcome="")


def _checked(names: Sequence[str]) -> list[str]:
    if len(names) > MOST_TAGS:
        raise _too_many()
    names = [text(name) for name in names]
    if long := [name for name in names if len(name) > TAG_LENGTH]:
        raise OperationError(
            _("A tag may have at most %(limit)s characters: %(tag)s… is too long.")
            % {"limit": TAG_LENGTH, "tag": long[0][:TAG_LENGTH]},
            422,
        )
    return names


def _too_many() -> OperationError:
    return OperationError(_("A batch may have at most %(limit)s tags.") % {"limit": MOST_TAGS}, 422)
