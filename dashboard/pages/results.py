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

ROWS_DRAWN = 10_000
"""Results that a chart is drawn of, with every page: the first ones."""

PAGE_ROWS = 100


@dataclass(frozen=True)
class ResultsPage:
    """Context of a batch's results."""

    batch: Batch
    query: ResultsQuery
    number: int
    drawn: str
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
        """The chart of the column that is drawn: the one that was chosen, or the first that tells something."""
        names = [self.drawn] if self.drawn in self.columns else self.columns
        results = self.query.items(self.batch).filter(status=NodeStatus.COMPLETED).order_by("index")
        found = list(results.values_list("result", flat=True)[:ROWS_DRAWN])
        first: Chart | None = None
        for name in names:
            chart = chart_of(name, (result_fields(result).get(name) for result in found))
            if chart is not None and chart.is_informative:
                return chart
            first = first or chart
        return first

    @property
    def is_drawn_in_part(self) -> bool:
        """Whether there may be more results than the chart is of."""
        return self.page.paginator.count > ROWS_DRAWN

    @property
    def statuses(self) -> list[tuple[str, str]]:
        """Statuses to choose from."""
        return [(value, str(label)) for value, label in NodeStatus.choices]

    @property
    def comparisons(self) -> list[str]:
        """Comparisons to choose from."""
        return [str(each) for each in ColumnOperator]
