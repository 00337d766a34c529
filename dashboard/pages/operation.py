"""The dialog of an operation on many children: what was frozen, what a person may say beside it, and what differs."""

from __future__ import annotations

from dataclasses import dataclass

from django import forms
from django.db.models import Avg
from django.http import QueryDict
from django.utils.translation import gettext as _

from dashboard.actions.batch import window_bounds
from dashboard.actions.operations import OperationOptions, may_change_parameters
from dashboard.forms.model_forms import ModelForm, form_of
from dashboard.models import Action, Batch, Operation
from dashboard.queries.operation_progress import Difference, differences
from dashboard.queries.selection import ALL_CHILDREN
from orchestration.processors.catalogue import processors

PREFIX = "parameters"


class WishesForm(forms.Form):
    """Why, and how many children at a time."""

    reason = forms.CharField(max_length=200, required=False)

    def __init__(self, batch: Batch, data: QueryDict | None = None) -> None:
        super().__init__(data)
        least, most = window_bounds()
        self.fields["window"] = forms.IntegerField(
            required=False,
            min_value=least,
            max_value=most,
            label=_("Max concurrency"),
            help_text=_("A lower value puts less load on the target system."),
            widget=forms.NumberInput(attrs={"placeholder": batch.window}),
        )


@dataclass(frozen=True)
class OperationPage:
    """Context of the dialog. `seconds` is how long it may take, where that can be told."""

    batch: Batch
    operation: Operation
    form: WishesForm
    parameters: ModelForm | None
    seconds: float | None

    @property
    def is_valid(self) -> bool:
        """Whether all that was typed can be used."""
        is_valid = self.form.is_valid()
        return is_valid and (self.parameters is None or not self.parameters.is_bound or self.parameters.is_valid())

    @property
    def differences(self) -> list[Difference]:
        """Which parameters are not the batch's."""
        if self.parameters is None or not self.parameters.is_bound or not self.parameters.is_valid():
            return []
        return differences(self.batch, self.parameters.model.model_dump(mode="json"))

    @property
    def wishes(self) -> OperationOptions:
        """What was typed, once it is valid."""
        given = self.form.cleaned_data
        changed = self.parameters.model.model_dump(mode="json") if self.parameters and self.differences else None
        return OperationOptions(given["reason"], changed, given["window"])


def operation_page(operation: Operation, data: QueryDict | None = None) -> OperationPage:
    """Return the dialog of an operation, filled in with what was typed."""
    batch = operation.batch
    return OperationPage(
        batch, operation, WishesForm(batch, data), _parameters_form(operation, data), _seconds(operation)
    )


def _parameters_form(operation: Operation, data: QueryDict | None) -> ModelForm | None:
    """Return a form of the parameters where a retry may change them."""
    batch = operation.batch
    if operation.action != Action.RETRY or not may_change_parameters(batch):
        return None
    processor = processors()[batch.processor]
    is_sent = data is not None and any(name.startswith(f"{PREFIX}-") for name in data)
    form = form_of(processor.parameters_model)
    return form(data, prefix=PREFIX) if is_sent else form(initial=batch.parameters, prefix=PREFIX)


def _seconds(operation: Operation) -> float | None:
    """Return how long it may take: as long as children took so far, as many at a time as the window lets."""
    if operation.action != Action.RETRY:
        return None
    took = ALL_CHILDREN.children(operation.batch).filter(duration__isnull=False).aggregate(Avg("duration"))
    average = took["duration__avg"]
    window = min(operation.window or operation.batch.window, max(1, operation.number))
    return None if average is None else average * operation.number / window
