"""The dialog of an operation on many children: what was frozen, what a person may say beside it, and what differs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.db.models import Avg, Count
from django.http import QueryDict

from dashboard.forms import ModelForm, form_of
from dashboard.models import Batch, Node, NodeStatus
from dashboard.on_children import Wishes
from dashboard.operation_models import Action, Operation
from dashboard.selection import EVERYTHING
from orchestration.plan import Plan
from orchestration.processors.registry import processors

PREFIX = "parameters"
SHOWN = 5
"""Operations on the batch page, the newest."""


class WishesForm(forms.Form):
    """Why, and how many children at a time."""

    reason = forms.CharField(max_length=200, required=False)

    def __init__(self, batch: Batch, data: QueryDict | None = None) -> None:
        super().__init__(data)
        most = Plan.model_json_schema()["properties"]["window"]["maximum"]
        self.fields["window"] = forms.IntegerField(
            required=False,
            min_value=1,
            max_value=most,
            label="Children open at a time",
            help_text="Fewer are gentler to the other side.",
            widget=forms.NumberInput(attrs={"placeholder": batch.window}),
        )


@dataclass(frozen=True)
class Difference:
    """A parameter that was changed."""

    name: str
    before: Any
    after: Any


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
    def wishes(self) -> Wishes:
        """What was typed, once it is valid."""
        given = self.form.cleaned_data
        changed = self.parameters.model.model_dump(mode="json") if self.parameters and self.differences else None
        return Wishes(given["reason"], changed, given["window"])


def operation_page(operation: Operation, data: QueryDict | None = None) -> OperationPage:
    """Return the dialog of an operation, filled in with what was typed."""
    batch = operation.batch
    return OperationPage(
        batch, operation, WishesForm(batch, data), _parameters_form(operation, data), _seconds(operation)
    )


def differences(batch: Batch, parameters: dict[str, Any]) -> list[Difference]:
    """Return which of some parameters are not the batch's."""
    names = dict.fromkeys([*batch.parameters, *parameters])
    pairs = [Difference(name, batch.parameters.get(name), parameters.get(name)) for name in names]
    return [each for each in pairs if each.before != each.after]


def _parameters_form(operation: Operation, data: QueryDict | None) -> ModelForm | None:
    """Return a form of the parameters where a retry may change them."""
    batch = operation.batch
    if operation.action != Action.RETRY or not may_change_parameters(batch):
        return None
    processor = processors()[batch.processor]
    is_sent = data is not None and any(name.startswith(f"{PREFIX}-") for name in data)
    form = form_of(processor.parameters_model)
    return form(data, prefix=PREFIX) if is_sent else form(initial=batch.parameters, prefix=PREFIX)


def may_change_parameters(batch: Batch) -> bool:
    """Whether a retry may give children other parameters: of a batch of one processor that is known here."""
    processor = processors().get(batch.processor)
    is_of_one = batch.definition_id is None and not batch.watched_id
    return is_of_one and processor is not None and bool(processor.parameters_model.model_fields)


def _seconds(operation: Operation) -> float | None:
    """Return how long it may take: as long as children took so far, as many at a time as the window lets."""
    if operation.action != Action.RETRY:
        return None
    took = EVERYTHING.children(operation.batch).filter(duration__isnull=False).aggregate(Avg("duration"))
    average = took["duration__avg"]
    window = min(operation.window or operation.batch.window, max(1, operation.number))
    return None if average is None else average * operation.number / window


@dataclass(frozen=True)
class Done:
    """An operation as it stands: how many of those taken on are mended, failed again, under way, or of a later one."""

    operation: Operation
    mended: int
    failed: int
    under_way: int
    differences: Sequence[Difference]

    @property
    def elsewhere(self) -> int:
        """How many were taken on again by a later operation."""
        return max(0, self.operation.accepted_number - self.mended - self.failed - self.under_way)


def done_of(batch: Batch) -> list[Done]:
    """Return the newest operations of a batch that were confirmed."""
    confirmed = batch.operations.filter(confirmed_at__isnull=False).select_related("person", "batch")
    found = list(confirmed.order_by("-confirmed_at")[:SHOWN])
    numbers: dict[str, dict[str, int]] = {}
    nodes = Node.objects.filter(operation__in=found).order_by()
    for operation, status, number in nodes.values_list("operation", "status").annotate(Count("pk")):
        numbers.setdefault(operation, {})[status] = number
    return [done_with(operation, numbers.get(operation.pk, {})) for operation in found]


def done_with(operation: Operation, numbers: dict[str, int]) -> Done:
    """Return how an operation stands, from the numbers of its children by status."""
    open_ones = (NodeStatus.PENDING, NodeStatus.RUNNING)
    mended = numbers.get(NodeStatus.COMPLETED, 0)
    under_way = sum(numbers.get(status, 0) for status in open_ones)
    changed = differences(operation.batch, operation.parameters) if operation.parameters is not None else []
    return Done(operation, mended, sum(numbers.values()) - mended - under_way, under_way, changed)
