"""Context of the confirmation dialog of an operation: its targets, its options, and changed parameters."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Avg
from django.http import QueryDict

from dashboard.actions.operations import OperationOptions, may_change_parameters
from dashboard.forms.operations import OperationOptionsForm
from dashboard.forms.pydantic_forms import PydanticForm, form_of
from dashboard.models import Action, Batch, Operation
from dashboard.queries.operation_progress import Difference, differences
from dashboard.queries.selection import ALL_CHILDREN
from orchestration.processors.catalogue import processors
from orchestration.processors.parameters import stored

PREFIX = "parameters"


@dataclass(frozen=True)
class OperationPage:
    """Context of the dialog. `seconds` is how long a retry may take; None where no child has finished yet."""

    batch: Batch
    operation: Operation
    form: OperationOptionsForm
    parameters: PydanticForm | None
    seconds: float | None
    may_operate: bool = True

    @property
    def is_valid(self) -> bool:
        """Whether the options and the parameters are valid."""
        is_valid = self.form.is_valid()
        return is_valid and (self.parameters is None or not self.parameters.is_bound or self.parameters.is_valid())

    @property
    def differences(self) -> list[Difference]:
        """Parameters that differ from those of the batch."""
        if self.parameters is None or not self.parameters.is_bound or not self.parameters.is_valid():
            return []
        return differences(self.batch, stored(self.parameters.model))

    @property
    def options(self) -> OperationOptions:
        """The options of a valid page."""
        given = self.form.cleaned_data
        changed = stored(self.parameters.model) if self.parameters and self.differences else None
        return OperationOptions(given["reason"], changed, given["window"])


def operation_page(operation: Operation, data: QueryDict | None = None, *, may_operate: bool = True) -> OperationPage:
    """Return the dialog of an operation, bound to submitted data if there is any. Whoever may not operate reads it."""
    batch = operation.batch
    form, parameters = OperationOptionsForm(batch, data), _parameters_form(operation, data)
    return OperationPage(batch, operation, form, parameters, _seconds(operation), may_operate)


def _parameters_form(operation: Operation, data: QueryDict | None) -> PydanticForm | None:
    """Return a form of the parameters if a retry may change them."""
    batch = operation.batch
    if operation.action != Action.RETRY or not may_change_parameters(batch):
        return None
    processor = processors()[batch.processor]
    is_sent = data is not None and any(name.startswith(f"{PREFIX}-") for name in data)
    form = form_of(processor.parameters_model)
    if is_sent:
        return form(data, prefix=PREFIX, kept=batch.parameters)
    return form(initial=processor.shown_parameters(batch.parameters), prefix=PREFIX)


def _seconds(operation: Operation) -> float | None:
    """Estimate how long a retry takes: the average duration of finished children, a window of them at a time."""
    if operation.action != Action.RETRY:
        return None
    took = ALL_CHILDREN.children(operation.batch).filter(duration__isnull=False).aggregate(Avg("duration"))
    average = took["duration__avg"]
    window = min(operation.window or operation.batch.window, max(1, operation.number))
    return None if average is None else average * operation.number / window
