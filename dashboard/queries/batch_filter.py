"""The filter of the batch list; query string, form and live rows use the same names."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

import django_filters
from django import forms
from django.contrib.auth import get_user_model
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Value
from django.http import HttpRequest, QueryDict
from django.utils import timezone
from django.utils.translation import gettext_lazy

from dashboard.i18n.formatting import StrOrPromise
from dashboard.models import FAILURES, Batch, BatchStatus, BatchTag, Item, Schedule


def _processors() -> list[tuple[str, str]]:
    """Return the processors of all batches, also those no longer installed."""
    names = Batch.objects.order_by("processor").values_list("processor", flat=True).distinct()
    return [(name, name) for name in names]


def _tags() -> list[tuple[str, str]]:
    names = BatchTag.objects.order_by("name").values_list("name", flat=True).distinct()
    return [(name, name) for name in names]


TIMES = {
    "hour": (gettext_lazy("The last hour"), timedelta(hours=1)),
    "day": (gettext_lazy("The last 24 hours"), timedelta(days=1)),
    "week": (gettext_lazy("The last 7 days"), timedelta(days=7)),
    "month": (gettext_lazy("The last 30 days"), timedelta(days=30)),
}

TEXT_LENGTH = 200
"""Characters of a text that is searched for."""

BLOCKED = ("blocked", gettext_lazy("Workflow task failing"))
"""Beside the statuses: a condition that an open batch may be in as well."""

SORTS = {
    "-created_at": gettext_lazy("Newest first"),
    "created_at": gettext_lazy("Oldest first"),
    "-changed_at": gettext_lazy("Recently changed first"),
    "changed_at": gettext_lazy("Longest unchanged first"),
    "label": gettext_lazy("Label, A to Z"),
    "-label": gettext_lazy("Label, Z to A"),
    "status": gettext_lazy("Status, A to Z"),
    "-status": gettext_lazy("Status, Z to A"),
    "-children_failed": gettext_lazy("Most failures first"),
    "children_failed": gettext_lazy("Fewest failures first"),
    "-child_count": gettext_lazy("Most children first"),
    "child_count": gettext_lazy("Fewest children first"),
    "-item_count": gettext_lazy("Most items first"),
    "item_count": gettext_lazy("Fewest items first"),
    "-closed_at": gettext_lazy("Recently finished first"),
    "closed_at": gettext_lazy("Finished longest ago first"),
}
DEFAULT_SORT = "-created_at"

SORTED_BY = {
    "batch": "label",
    "status": "status",
    "children": "-child_count",
    "failed": "-children_failed",
    "items": "-item_count",
    "launched": "-created_at",
    "ended": "-closed_at",
}
"""Columns of the list that can be sorted by, with the order that comes first."""

CHIPS = ("processor", "tag", "person", "time", "schedule", "deep")
"""Filters that are shown as chips where they are set."""


@dataclass(frozen=True)
class StatusCount:
    """A status, or a condition beside it, and how many batches have it."""

    status: str
    label: StrOrPromise
    number: int
    is_condition: bool = False


def status_counts(given: QueryDict, request: HttpRequest) -> list[StatusCount]:
    """Count the batches that match a query string apart from its status, by status."""
    others = given.copy()
    others.pop("status", None)
    found = BatchFilter(others, Batch.objects.all(), request=request).qs.order_by()
    rows = found.values_list("status").annotate(
        number=Count("pk"), blocked=Count("pk", filter=Q(blocked_since__isnull=False))
    )
    numbers = {status: (number, blocked) for status, number, blocked in rows}
    counts = [StatusCount(value, label, numbers.get(value, (0, 0))[0]) for value, label in BatchStatus.choices]
    return [*counts, StatusCount(*BLOCKED, sum(each for _, each in numbers.values()), is_condition=True)]


class BatchFilter(django_filters.FilterSet):
    """Filter batches by status, processor, person (user name), schedule (id), tag, time of launch, and text (in label,
    note or tag, or the start of an id; with `deep` also in keys and errors of items); and sort them.
    """

    q = django_filters.CharFilter(
        label=gettext_lazy("Search"),
        method="with_text",
        widget=forms.TextInput(
            attrs={
                "type": "search",
                "placeholder": gettext_lazy("Search by label, id, processor, tag or note"),
                "autocomplete": "off",
                "data-key": "/",
                "data-key-name": gettext_lazy("Search"),
            }
        ),
    )
    status = django_filters.ChoiceFilter(
        label=gettext_lazy("Status"),
        choices=[*BatchStatus.choices, BLOCKED],
        method="in_status",
        empty_label=gettext_lazy("Any"),
    )
    processor = django_filters.ChoiceFilter(
        label=gettext_lazy("Processor"), choices=_processors, empty_label=gettext_lazy("Any")
    )
    person = django_filters.ModelChoiceFilter(
        label=gettext_lazy("Person"),
        field_name="launched_by",
        queryset=lambda request: get_user_model().objects.filter(batches__isnull=False).distinct().order_by("username"),
        to_field_name="username",
        empty_label=gettext_lazy("Anyone"),
    )
    tag = django_filters.ChoiceFilter(
        label=gettext_lazy("Tag"), choices=_tags, field_name="tags__name", empty_label=gettext_lazy("Any")
    )
    time = django_filters.ChoiceFilter(
        label=gettext_lazy("Launched"),
        choices=[(value, label) for value, (label, _) in TIMES.items()],
        method="in_time",
        empty_label=gettext_lazy("Any time"),
    )
    schedule = django_filters.ModelChoiceFilter(
        label=gettext_lazy("Schedule"),
        queryset=lambda request: Schedule.objects.filter(Q(deleted_at=None) | Q(batches__isnull=False)).distinct(),
        empty_label=gettext_lazy("Any or none"),
    )

    sort = django_filters.ChoiceFilter(
        label=gettext_lazy("Order"),
        choices=list(SORTS.items())[1:],
        method="in_order",
        empty_label=SORTS["-created_at"],
    )
    deep = django_filters.BooleanFilter(
        label=gettext_lazy("Search keys and errors too"),
        method="ignored",
        widget=forms.CheckboxInput(attrs={"value": "true"}),
    )

    class Meta:
        model = Batch
        fields: ClassVar = ["q", "status", "processor", "person", "tag", "time", "schedule", "sort", "deep"]

    def with_text(self, batches: QuerySet[Batch], name: str, text: str) -> QuerySet[Batch]:
        """Keep batches that contain the text, or whose id starts with it."""
        text = text.strip()[:TEXT_LENGTH]
        found = Q(label__icontains=text) | Q(id__istartswith=text) | Q(processor__icontains=text)
        found |= Q(note__icontains=text)
        found |= Q(Exists(BatchTag.objects.filter(batch=OuterRef("pk"), name__icontains=text)))
        if self.data.get("deep") == "true":
            within = Q(key__icontains=text) | Q(error_message__icontains=text) | Q(error_type__icontains=text)
            found |= Q(Exists(Item.objects.filter(within, batch=OuterRef("pk"))))
        return batches.filter(found)

    def in_status(self, batches: QuerySet[Batch], name: str, value: str) -> QuerySet[Batch]:
        """Keep batches in a status, or those that a failing workflow task blocks."""
        return batches.filter(blocked_since__isnull=False) if value == BLOCKED[0] else batches.filter(status=value)

    def in_time(self, batches: QuerySet[Batch], name: str, value: str) -> QuerySet[Batch]:
        """Keep batches that were launched within some time before now."""
        return batches.filter(created_at__gte=timezone.now() - TIMES[value][1])

    def in_order(self, batches: QuerySet[Batch], name: str, value: str) -> QuerySet[Batch]:
        """Sort batches; those without the value come last."""
        column = value.removeprefix("-")
        by = sum((F(f"children_{each.value}") for each in FAILURES), start=Value(0))
        key = by if column == "children_failed" else F(column)
        order = key.desc(nulls_last=True) if value.startswith("-") else key.asc(nulls_last=True)
        return batches.order_by(order, "-created_at", "-id")

    def ignored(self, batches: QuerySet[Batch], name: str, value: bool) -> QuerySet[Batch]:
        """Leave batches as they are: `with_text` reads the value."""
        return batches

    @property
    def is_active(self) -> bool:
        """Whether it filters anything, so that an empty result is not an empty list."""
        shown = {"sort", "deep"}
        criteria = self.form.cleaned_data.items() if self.form.is_valid() else ()
        return any(value for name, value in criteria if name not in shown)
