"""Context of a batch's results page."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.core.paginator import Page

from dashboard.models import Batch, Item, NodeStatus
from dashboard.queries.charts import Chart, chart_of
from dashboard.queries.results import ColumnOperator, ResultsQuery, column_names, result_fields
from dashboard.server.paging import page_of

CHART_ROWS = 10_000
"""The first results, which a chart is made of."""

PAGE_ROWS = 100

COLUMNS_SHOWN = 40
"""Result columns of the table; each more costs a cell of every row."""


@dataclass(frozen=True)
class ResultsPage:
    """Context of a batch's results."""

    batch: Batch
    query: ResultsQuery
    number: int
    chart_column: str
    url: str

    @cached_property
    def all_columns(self) -> list[str]:
        """The result columns, which a filter can name."""
        return column_names(self.batch).results

    @cached_property
    def columns(self) -> list[str]:
        """The result columns that are shown: the first ones, and those that are filtered, sorted or charted by."""
        sort = self.query.sort.removeprefix("-").removeprefix("result.")
        chosen = {self.query.column, sort, self.chart_column}.intersection(self.all_columns[COLUMNS_SHOWN:])
        return [*self.all_columns[:COLUMNS_SHOWN], *sorted(chosen)]

    @property
    def more_columns(self) -> int:
        """How many result columns are not shown."""
        return len(self.all_columns) - len(self.columns)

    @cached_property
    def page(self) -> Page[Item]:
        """The items of this page."""
        items = self.query.items(self.batch).defer("result", "data", "error_stack").with_small_result()
        return page_of(items, self.number, PAGE_ROWS)

    @property
    def rows(self) -> list[tuple[Item, list[Any]]]:
        """Each item with its result's columns; none of them for a result that is too large for a row."""
        return [(item, self._values(item)) for item in self.page]

    def _values(self, item: Any) -> list[Any]:
        if item.is_too_large:
            return []
        return [result_fields(item.small_result).get(name) for name in self.columns]

    @cached_property
    def chart(self) -> Chart | None:
        """The chart of the chosen column, by default the first column with an informative chart."""
        names = [self.chart_column] if self.chart_column in self.columns else self.columns
        results = self.query.items(self.batch).filter(status=NodeStatus.COMPLETED).order_by("index")
        found = list(results.with_small_result().values_list("small_result", flat=True)[:CHART_ROWS])
        first: Chart | None = None
        for name in names:
            chart = chart_of(name, (result_fields(result).get(name) for result in found))
            if chart is not None and chart.is_informative:
                return chart
            first = first or chart
        return first

    @property
    def is_chart_partial(self) -> bool:
        """Whether there may be more results than the chart is made of."""
        return self.page.paginator.count > CHART_ROWS

    @property
    def statuses(self) -> list[tuple[str, str]]:
        """Choices of the status."""
        return [(value, str(label)) for value, label in NodeStatus.choices]

    @property
    def comparisons(self) -> list[str]:
        """Choices of the comparison."""
        return [str(each) for each in ColumnOperator]
