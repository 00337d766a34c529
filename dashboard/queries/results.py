"""Results: the items of a batch with their outcome, as a table that can be filtered and sorted. Reads only.

The fields of results are columns; a result that is a plain value is the column `value`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, Self

from django.db.models import F, OrderBy, Q
from django.http import QueryDict
from django.utils.translation import gettext as _

from dashboard.database.json_values import (
    DECIMAL_TEXT,
    JsonNumber,
    JsonNumberOrText,
    JsonRank,
    JsonSortText,
    JsonText,
    NaturalKey,
    NumberValue,
    decimal_of,
)
from dashboard.models import Batch, Item, NodeStatus
from dashboard.models import ItemQuerySet as Items

ROWS_SAMPLED = 2_000
"""Items whose fields become the columns."""
TEXT_LENGTH = 200
"""Characters of a text that keys are searched for: they have no more."""

ITEM_SORTS = {"index": F("index"), "key": NaturalKey("key"), "status": F("shown_status"), "duration": F("duration")}
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
    for fields in first:
        data |= dict.fromkeys(fields)
    for result in _first_results(batch):
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
        """Read a query string. What is wrong with it is reported in `error`, and then it chooses no items."""
        given = {name: parameters.get(name, "") for name in ("status", "comparison", "column")}
        value = parameters.get("value", "").strip()
        return cls(
            text=parameters.get("q", "").strip()[:TEXT_LENGTH],
            status=given["status"] if given["status"] in NodeStatus.values else "",
            column=given["column"],
            comparison=(
                ColumnOperator(given["comparison"])
                if given["comparison"] in list(ColumnOperator)
                else ColumnOperator.CONTAINS
            ),
            value=value,
            sort=parameters.get("sort", "") or "index",
            signature=parameters.get("signature", ""),
            error=_error(**given, value=value),
        )

    @property
    def is_active(self) -> bool:
        """Whether it filters anything."""
        return bool(self.text or self.status or self.signature or (self.column and self.value))

    @property
    def is_of_numbers(self) -> bool:
        """Whether a column is compared with a number."""
        is_order = self.comparison in (ColumnOperator.AT_LEAST, ColumnOperator.AT_MOST)
        return bool(self.column and self.value) and is_order

    def items(self, batch: Batch) -> Items:
        """Return the matching items in order; none for a query that is invalid."""
        if self.error:
            return Item.objects.none()
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
        column = _ResultColumn.of(batch, self.column)
        number, text = decimal_of(self.value), JsonText("result", column.name)
        if self.is_of_numbers and number is not None:
            lookup = "gte" if self.comparison is ColumnOperator.AT_LEAST else "lte"
            return items.alias(compared=column.number).filter(Q((f"compared__{lookup}", NumberValue(number))))
        if self.comparison is ColumnOperator.CONTAINS:
            return items.alias(compared=text).filter(Q(compared__icontains=self.value))
        items = items.alias(compared=text)
        is_equal = Q(compared=self.value)
        if number is not None:
            items = items.alias(number=column.number)
            is_equal |= Q(number__isnull=False, number=NumberValue(number))
        if self.comparison is ColumnOperator.IS:
            return items.filter(is_equal)
        return items.filter(status=NodeStatus.COMPLETED).exclude(pk__in=items.filter(is_equal).values("pk"))

    def _order(self, batch: Batch) -> Sequence[Any]:
        name, is_down = self.sort.removeprefix("-"), self.sort.startswith("-")
        if name in ITEM_SORTS:
            by: tuple[Any, ...] = (ITEM_SORTS[name],)
        elif name.startswith("result."):
            column = _ResultColumn.of(batch, name.removeprefix("result."))
            kinds = () if column.has_decimals else (JsonRank("result", column.name),)
            by = (*kinds, column.number, JsonSortText("result", column.name))
        else:
            return ("index",)
        return (*(OrderBy(each, descending=is_down, nulls_last=True) for each in by), "index")


def _error(status: str, comparison: str, column: str, value: str) -> str:
    """Return what is wrong with a filter; empty for one that is valid."""
    if status and status not in NodeStatus.values:
        return _("There is no status “%(status)s”.") % {"status": status}
    if comparison and comparison not in list(ColumnOperator):
        return _("There is no comparison “%(comparison)s”.") % {"comparison": comparison}
    if value and not column:
        return _("Choose the result column to compare with “%(value)s”.") % {"value": value}
    if value and comparison in (ColumnOperator.AT_LEAST, ColumnOperator.AT_MOST) and decimal_of(value) is None:
        return _("“%(comparison)s” needs a number, not %(value)s.") % {"value": repr(value), "comparison": comparison}
    return ""


@dataclass(frozen=True)
class _ResultColumn:
    """A result column: the member's name, none for results that are plain values, and whether its texts are numbers."""

    name: str | None
    has_decimals: bool

    @classmethod
    def of(cls, batch: Batch, column: str) -> Self:
        """Look at the first results."""
        results = _first_results(batch)
        is_whole = column == VALUE and bool(results) and not isinstance(results[0], dict)
        values = [result_fields(each).get(column) for each in results]
        texts = [value for value in values if isinstance(value, str)]
        is_of_numbers = all(value is None or isinstance(value, str | int | float) for value in values)
        are_decimals = bool(texts) and is_of_numbers and all(DECIMAL_TEXT.fullmatch(text) for text in texts)
        return cls(None if is_whole else column, are_decimals and not any(isinstance(each, bool) for each in values))

    @property
    def number(self) -> Any:
        """Its number, to compare and sort by."""
        return (JsonNumberOrText if self.has_decimals else JsonNumber)("result", self.name)


def _first_results(batch: Batch) -> list[Any]:
    """Return the first results, without those that are too large to be shown in a row."""
    completed = batch.items.filter(status=NodeStatus.COMPLETED).order_by("index")
    return list(completed.with_small_result().values_list("small_result", flat=True)[:ROWS_SAMPLED])
