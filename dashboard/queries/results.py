"""Results: the items of a batch with their outcome, as a table that can be filtered and sorted. Reads only.

The fields of results are columns; a result that is a plain value is the column `value`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, Self

from django.db.models import F, FloatField, OrderBy, Q, TextField
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import Cast
from django.http import QueryDict
from django.utils.translation import gettext as _

from dashboard.models import Batch, Item, NodeStatus
from dashboard.models import ItemQuerySet as Items

ROWS_SAMPLED = 2_000
"""Items whose fields become the columns."""
ITEM_SORTS = {"index": "index", "key": "key", "status": "shown_status", "duration": "duration"}
VALUE = "value"


class ColumnOperator(StrEnum):
    """How a result column is compared with a value."""

    CONTAINS = "contains"
    IS = "is"
    IS_NOT = "is not"
    AT_LEAST = "at least"
    AT_MOST = "at most"


class ColumnNames(NamedTuple):
    """The fields of a batch's items, and of their results."""

    data: list[str]
    results: list[str]


def result_fields(result: Any) -> Mapping[str, Any]:
    """Return a result as its columns."""
    if isinstance(result, dict):
        return result
    return {} if result is None else {VALUE: result}


def column_names(batch: Batch) -> ColumnNames:
    """Return the fields of the first items, and of the first results."""
    data, results = dict[str, None](), dict[str, None]()
    first = batch.items.order_by("index").values_list("data", flat=True)[:ROWS_SAMPLED]
    completed = batch.items.filter(status=NodeStatus.COMPLETED).order_by("index").values_list("result", flat=True)
    for fields in first:
        data |= dict.fromkeys(fields)
    for result in completed[:ROWS_SAMPLED]:
        results |= dict.fromkeys(result_fields(result))
    return ColumnNames(list(data), list(results))


@dataclass(frozen=True)
class ResultsQuery:
    """A filter and an order of a batch's items. `sort` is a column, with a leading minus for descending order."""

    text: str = ""
    status: str = ""
    column: str = ""
    comparison: ColumnOperator = ColumnOperator.CONTAINS
    value: str = ""
    sort: str = "index"
    error: str = ""
    signature: str = ""

    @classmethod
    def of(cls, parameters: QueryDict) -> Self:
        """Read a query string; invalid parameters are ignored, or reported in `error`."""
        comparison, status = parameters.get("comparison", ""), parameters.get("status", "")
        query = cls(
            text=parameters.get("q", "").strip(),
            status=status if status in NodeStatus.values else "",
            column=parameters.get("column", ""),
            comparison=ColumnOperator(comparison) if comparison in list(ColumnOperator) else ColumnOperator.CONTAINS,
            value=parameters.get("value", "").strip(),
            sort=parameters.get("sort", "") or "index",
            signature=parameters.get("signature", ""),
        )
        if query.is_of_numbers and query.number is None:
            return cls(
                query.text,
                query.status,
                error=_("“%(comparison)s” needs a number, not %(value)s.")
                % {"value": repr(query.value), "comparison": query.comparison},
            )
        return query

    @property
    def is_active(self) -> bool:
        """Whether it filters anything."""
        return bool(self.text or self.status or self.signature or (self.column and self.value))

    @property
    def is_of_numbers(self) -> bool:
        """Whether a column is compared with a number."""
        is_order = self.comparison in (ColumnOperator.AT_LEAST, ColumnOperator.AT_MOST)
        return bool(self.column and self.value) and is_order

    @property
    def number(self) -> float | None:
        """The value as a number, if it is one."""
        try:
            return float(self.value)
        except ValueError:
            return None

    def items(self, batch: Batch) -> Items:
        """Return the matching items in order."""
        items = Item.objects.filter(batch=batch).with_shown_status()
        if self.text:
            items = items.filter(key__icontains=self.text)
        if self.status:
            items = items.filter(Q(shown_status=self.status))
        if self.signature:
            items = items.filter(signature=self.signature)
        if self.column and self.value:
            items = self._compared(items, batch)
        return items.order_by(*self._order(batch))

    def _compared(self, items: Items, batch: Batch) -> Items:
        is_whole = _is_whole(batch, self.column)
        field, text = _column(self.column, is_whole=is_whole)
        if self.is_of_numbers:
            lookup = "gte" if self.comparison is ColumnOperator.AT_LEAST else "lte"
            return items.alias(compared=field).filter(Q((f"compared__{lookup}", self.number)))
        if self.comparison is ColumnOperator.CONTAINS:
            return items.alias(compared=text).filter(Q(compared__icontains=self.value))
        items = items.alias(compared=text if is_whole else field)
        is_equal = Q(compared__in=self._as_texts) if is_whole else self._is_equal
        if self.comparison is ColumnOperator.IS:
            return items.filter(is_equal)
        return items.filter(status=NodeStatus.COMPLETED).exclude(is_equal)

    @property
    def _is_equal(self) -> Q:
        """Equality with the value as text, and as the number or boolean that it may stand for."""
        is_equal = Q(compared=self.value)
        if (number := self.number) is not None and math.isfinite(number):
            return is_equal | Q(compared=number)
        return is_equal | Q(compared=self.value == "true") if self.value in ("true", "false") else is_equal

    @property
    def _as_texts(self) -> set[str]:
        """The value as the JSON text of a whole result: a string, or the number or boolean that it may stand for."""
        number = self.number
        as_number = {f"{number:g}", f"{number:.1f}"} if number is not None else set()
        return {json.dumps(self.value), self.value, *as_number}

    def _order(self, batch: Batch) -> Sequence[Any]:
        name, is_down = self.sort.removeprefix("-"), self.sort.startswith("-")
        if name in ITEM_SORTS:
            by: Any = F(ITEM_SORTS[name])
        elif name.startswith("result."):
            column = name.removeprefix("result.")
            by = _column(column, is_whole=_is_whole(batch, column))[0]
        else:
            return ("index",)
        return (OrderBy(by, descending=is_down, nulls_last=True), "index")


def _column(name: str, *, is_whole: bool) -> tuple[Any, Any]:
    """Return the expressions of a result column, to compare and sort by, and as text."""
    if is_whole:
        return Cast("result", FloatField()), Cast("result", TextField())
    return KeyTransform(name, "result"), KeyTextTransform(name, "result")


def _is_whole(batch: Batch, column: str) -> bool:
    """Whether a column stands for results that are plain values."""
    if column != VALUE:
        return False
    completed = batch.items.filter(status=NodeStatus.COMPLETED).order_by("index")
    return not isinstance(completed.values_list("result", flat=True).first(), dict)
