"""Context of the catalogue of what can be launched: the demo, recent launches, and a search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import F
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from dashboard.accounts.permissions import may_operate
from dashboard.i18n.formatting import StrOrPromise, translated
from dashboard.models import Batch, DefinitionVersion
from orchestration.plan.presets import PRESETS
from orchestration.processors.catalogue import processors

RECENT = 5
LOOKED_AT = 100
"""Batches among which recent launches are looked for: one launched again and again is one of them."""

MOST_DEFINITIONS = 1_000
SEARCH_LENGTH = 100


@dataclass(frozen=True)
class Entry:
    """Something that can be launched; `kind` says what it is where it is not a processor, `name` is found too."""

    title: str
    summary: str
    address: str
    icon: str
    kind: StrOrPromise = ""
    name: str = ""


@dataclass(frozen=True)
class RecentLaunch:
    """A launch that may be repeated: its form, filled in."""

    title: str
    label: str
    at: datetime
    address: str


@dataclass(frozen=True)
class LaunchCataloguePage:
    """Context of the catalogue. With a `text` the entries are those that have it, of patterns and definitions too."""

    text: str
    entries: Sequence[Entry]
    recent: Sequence[RecentLaunch]
    may_operate: bool


def catalogue_page(request: HttpRequest) -> LaunchCataloguePage:
    """Return the catalogue, or what it has for the text in the query string."""
    text = request.GET.get("q", "").strip()[:SEARCH_LENGTH]
    entries = _processors()
    if text:
        entries = [each for each in (*entries, *_patterns(), *_definitions()) if _matches(each, text)]
    recent = [] if text else list(_recent(request))[:RECENT]
    return LaunchCataloguePage(text, entries, recent, may_operate(request.user))


def _matches(entry: Entry, text: str) -> bool:
    said = f"{entry.title} {entry.summary} {entry.name}".casefold()
    return all(word in said for word in text.casefold().split())


def _processors() -> list[Entry]:
    found = list[Entry]()
    for each in processors().values():
        address, summary = reverse("launch", args=[each.name]), str(translated(each.summary))
        found.append(Entry(str(translated(each.title)), summary, address, each.icon, name=each.name))
    return sorted(found, key=lambda entry: entry.title)


def _patterns() -> Iterator[Entry]:
    for each in PRESETS:
        address = f"{reverse('launch', args=[each.processor])}?preset={each.name}"
        yield Entry(
            str(translated(each.title)), str(translated(each.when)), address, "squares-2x2", _("Pattern"), each.name
        )


def _definitions() -> Iterator[Entry]:
    newest = DefinitionVersion.objects.filter(number=F("definition__newest")).select_related("definition")
    for each in newest.defer("text").order_by("definition__name")[:MOST_DEFINITIONS]:
        address = f"{reverse('definition-launch')}?definition={each.pk}"
        yield Entry(each.definition.name, each.kind, address, "document-text", _("Definition"))


def _recent(request: HttpRequest) -> Iterator[RecentLaunch]:
    """Yield a person's last launches, each form once with each label; of a person without any, those of all."""
    launched = Batch.objects.filter(watched_id="").select_related("definition__definition")
    launched = launched.only("label", "processor", "created_at", "source", "definition__definition__name")
    own = list(launched.filter(launched_by=request.user.pk)[:LOOKED_AT])
    known, seen = processors(), set[tuple[str, str]]()
    for batch in own or launched[:LOOKED_AT]:
        form = (batch.source or {}).get("form", batch.processor)
        if batch.definition is not None:
            title = batch.definition.definition.name
            address = f"{reverse('definition-launch')}?definition={batch.definition_id}&like={batch.pk}"
        elif form in known:
            title = str(translated(known[form].title))
            address = f"{reverse('launch', args=[form])}?like={batch.pk}"
        else:
            continue
        if (title, batch.label) not in seen:
            seen.add((title, batch.label))
            yield RecentLaunch(title, batch.label if batch.label != title else "", batch.created_at, address)
