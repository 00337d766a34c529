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


@dataclass(frozen=True)
class ResultsPage:
    """Context of a batch's results."""

    batch: Batch
    query: ResultsQuery
    number: int
    chart_column: str
    url: str

    @cached_property
    def columns(self) -> list[str]:
        """The result columns."""
        return column_names(self.batch).results

    @cached_property
    def page(self) -> Page[Item]:
        """The items of this page."""
        return page_of(self.query.items(self.batch), self.number, PAGE_ROWS)

    @property
    def rows(self) -> list[tuple[Item, list[Any]]]:
        """Each item with its result's columns."""
        return [(item, [result_fields(item.result).get(name) for name in self.columns]) for item in self.page]

    @cached_property
    def chart(self) -> Chart | None:
        """The chart of the chosen column, by default the first column with an informative chart."""
        names = [self.chart_column] if self.chart_column in self.columns else self.columns
        results = self.query.items(self.batch).filter(status=NodeStatus.COMPLETED).order_by("index")
        found = list(results.values_list("result", flat=True)[:CHART_ROWS])
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
