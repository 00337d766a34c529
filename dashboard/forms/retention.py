"""The form of a retention rule."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy

from dashboard.models import CLOSED_STATUSES
from orchestration.processors.catalogue import processors


class RetentionRuleForm(forms.Form):
    """Fields of a rule; `retention.changes` validates them, for the API too."""

    days = forms.IntegerField(
        label=gettext_lazy("Days"),
        required=False,
        min_value=1,
        help_text=gettext_lazy("After the batch finished. Leave it empty to keep these batches for ever."),
    )
    processor = forms.ChoiceField(label=gettext_lazy("Processor"), required=False)
    outcome = forms.ChoiceField(
        label=gettext_lazy("Outcome"),
        required=False,
        choices=[("", gettext_lazy("any")), *((status.value, status.label) for status in CLOSED_STATUSES)],
    )
    tag = forms.CharField(label=gettext_lazy("Tag"), required=False, max_length=40)
    label = forms.CharField(
        label=gettext_lazy("Label contains"), required=False, max_length=200, help_text=gettext_lazy("In any case.")
    )

    def __init__(self, *given: object, **named: object) -> None:
        super().__init__(*given, **named)  # type: ignore[arg-type]
        names = sorted([*processors(), "pipeline", "saga", "services", "steps"])
        choices = [("", gettext_lazy("any")), *((name, name) for name in names)]
        self.fields["processor"].choices = choices  # type: ignore[attr-defined]
