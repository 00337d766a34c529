"""The options of an operation on many children: a reason and a window."""

from __future__ import annotations

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from dashboard.actions.batch import window_bounds
from dashboard.forms.fields import BOUND_ERRORS
from dashboard.models import Batch


class OperationOptionsForm(forms.Form):
    """A reason for the audit entry, and how many children are open at a time."""

    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=200, required=False)

    def __init__(self, batch: Batch, data: QueryDict | None = None) -> None:
        super().__init__(data)
        least, most = window_bounds()
        self.fields["window"] = forms.IntegerField(
            required=False,
            min_value=least,
            max_value=most,
            error_messages=BOUND_ERRORS,
            label=_("Max concurrency"),
            help_text=_("A lower value puts less load on the target system."),
            widget=forms.NumberInput(attrs={"placeholder": batch.window}),
        )
