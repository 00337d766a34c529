"""The command palette: what a text leads to among pages, actions and batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext as _

from dashboard.accounts.permissions import Person, may_operate
from dashboard.i18n.formatting import StrOrPromise, translated
from dashboard.live.state import LARGE_COLUMNS
from dashboard.models import Batch
from dashboard.queries.batch_filter import TEXT_LENGTH
from orchestration.processors.catalogue import processors

SHOWN = 8
"""Entries of each group, at most."""


@dataclass(frozen=True)
class PaletteEntry:
    """What can be chosen: an `address` to go to, or a control of the page to `press`, as a CSS selector."""

    title: StrOrPromise
    detail: StrOrPromise = ""
    address: str = ""
    press: str = ""
    status: str = ""


@dataclass(frozen=True)
class PaletteGroup:
    """Entries under a heading."""

    title: str
    entries: Sequence[PaletteEntry]


def palette(person: Person, text: str) -> list[PaletteGroup]:
    """Return what matches a text, in groups; without a text the newest batches, pages and actions."""
    text = " ".join(text.split())[:TEXT_LENGTH]
    groups = (
        PaletteGroup(_("Batches"), _batches(text)),
        PaletteGroup(_("Pages"), _matching(_pages(person), text)),
        PaletteGroup(_("Actions"), _matching(_actions(person), text)),
    )
    return [group for group in groups if group.entries]


def _matching(entries: Iterator[PaletteEntry], text: str) -> list[PaletteEntry]:
    words = text.lower().split()
    found = (each for each in entries if all(word in f"{each.title} {each.detail}".lower() for word in words))
    return list(found)[:SHOWN]


def _batches(text: str) -> list[PaletteEntry]:
    found = Batch.objects.defer(*LARGE_COLUMNS)
    if text:
        found = found.filter(Q(label__icontains=text) | Q(id__istartswith=text) | Q(processor__icontains=text))
    return [
        PaletteEntry(
            batch.label or batch.processor,
            f"{batch.processor} · {batch.pk}" if batch.label else batch.pk,
            reverse("batch-detail", args=[batch.pk]),
            status=batch.status,
        )
        for batch in found[:SHOWN]
    ]


def _pages(person: Person) -> Iterator[PaletteEntry]:
    yield PaletteEntry(_("Home"), address=reverse("home"))
    yield PaletteEntry(_("Batches"), address=reverse("batch-list"))
    yield PaletteEntry(_("Launch"), address=reverse("launch-catalogue"))
    yield PaletteEntry(_("Schedules"), address=reverse("schedule-list"))
    yield PaletteEntry(_("Definitions"), address=reverse("definition-list"))
    yield PaletteEntry(_("Watch"), _("workflows of others"), reverse("workflow-watch"))
    yield PaletteEntry(_("Queues"), _("workers and backlog"), reverse("queue-list"))
    yield PaletteEntry(_("Choosing a pattern"), address=reverse("launch-guide"))
    yield PaletteEntry(_("Notifications"), address=reverse("notification-list"))
    yield PaletteEntry(_("API tokens"), address=reverse("token-list"))
    yield PaletteEntry(_("Change password"), address=reverse("password-change"))
    yield PaletteEntry(_("Help"), address=reverse("help"))
    yield PaletteEntry(_("Retention"), _("how long batches are kept"), reverse("retention"))
    if may_operate(person):
        yield PaletteEntry(_("New schedule"), address=reverse("schedule-create"))
        yield PaletteEntry(_("New definition"), address=reverse("definition-create"))


def _actions(person: Person) -> Iterator[PaletteEntry]:
    if may_operate(person):
        yield PaletteEntry(_("Try a 60-item demo"), press="#demo-launch")
        for each in sorted(processors().values(), key=lambda processor: str(processor.title)):
            title = _("Launch %(processor)s") % {"processor": translated(each.title)}
            yield PaletteEntry(title, each.name, reverse("launch", args=[each.name]))
    for theme, title in (("", _("Theme: system")), ("light", _("Theme: light")), ("dark", _("Theme: dark"))):
        yield PaletteEntry(title, press=f"[name='theme'][value='{theme}']")
    yield PaletteEntry(_("Keyboard shortcuts"), press="#show-keys")
    yield PaletteEntry(_("Log out"), press="#log-out")
