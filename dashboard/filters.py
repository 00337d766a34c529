"""What a person may narrow the batch list by. The same names in the address, the form and the live rows."""

from __future__ import annotations

from typing import ClassVar

import django_filters
from django import forms
from django.contrib.auth import get_user_model
from django.db.models import Q, QuerySet

from dashboard.models import Batch, BatchStatus
from dashboard.schedule_models import Schedule


def _processors() -> list[tuple[str, str]]:
    """Return the processors that a batch was ever launched with; one that is gone from the code can still be found."""
    names = Batch.objects.order_by("processor").values_list("processor", flat=True).distinct()
    return [(name, name) for name in names]


class BatchFilter(django_filters.FilterSet):
    """Filter batches by status, processor, person (user name), schedule (id) and text (in the label, or the start of
    an id).
    """

    q = django_filters.CharFilter(
        label="Text",
        method="with_text",
        widget=forms.TextInput(
            attrs={
                "type": "search",
                "placeholder": "Label or id",
                "autocomplete": "off",
                "data-key": "/",
                "data-key-name": "Search",
            }
        ),
    )
    status = django_filters.ChoiceFilter(label="Status", choices=BatchStatus.choices, empty_label="Any")
    processor = django_filters.ChoiceFilter(label="Processor", choices=_processors, empty_label="Any")
    person = django_filters.ModelChoiceFilter(
        label="Person",
        field_name="launched_by",
        queryset=lambda request: get_user_model().objects.filter(batches__isnull=False).distinct().order_by("username"),
        to_field_name="username",
        empty_label="Anyone",
    )
    schedule = django_filters.ModelChoiceFilter(
        label="Schedule",
        queryset=lambda request: Schedule.objects.filter(Q(deleted_at=None) | Q(batches__isnull=False)).distinct(),
        empty_label="Any or none",
    )

    class Meta:
        model = Batch
        fields: ClassVar = ["q", "status", "processor", "person", "schedule"]

    def with_text(self, batches: QuerySet[Batch], name: str, text: str) -> QuerySet[Batch]:
        """Keep batches whose label contains the text, or whose id starts with it."""
        text = text.strip()
        return batches.filter(Q(label__icontains=text) | Q(id__istartswith=text) | Q(processor__icontains=text))

    @property
    def is_active(self) -> bool:
        """Whether anything is narrowed: an empty result then means something else than an empty list."""
        return any(value for value in self.form.cleaned_data.values()) if self.form.is_valid() else False
