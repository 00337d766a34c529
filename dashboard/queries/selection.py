"""Selection: children of a batch by criteria, never by the rows that happen to be visible.

The tree shows one, a query string encodes one, and operations act on one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlencode

from django.db.models import Q, QuerySet

from dashboard.models import Batch, BatchStatus, Item, Node, NodeStatus
from dashboard.queries.error_groups import children_with_error
from dashboard.server.requests import whole_number
from orchestration.contracts.events import NodeKind
from orchestration.errors.signatures import SIGNATURE_LENGTH

TEXT_LENGTH = 200
OPERATION_LENGTH = 32


@dataclass(frozen=True)
class Selection:
    """Children that meet all given criteria: in a `status`, with failures of an `error` (a signature), with a `text` in
    their id or in an item's key, within a `span` (first and last position), accepted by an `operation` (its id).
    """

    status: NodeStatus | None = None
    error: str = ""
    text: str = ""
    span: tuple[int, int] | None = None
    operation: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Self:
        """Read a query string or a form; invalid values are ignored."""
        status = query.get("status", "")
        if status == BatchStatus.SCHEDULED:  # what runs where no worker serves the batch
            status = NodeStatus.RUNNING.value
        return cls(
            status=NodeStatus(status) if status in NodeStatus.values else None,
            error=query.get("error", "")[:SIGNATURE_LENGTH],
            text=query.get("q", "").strip()[:TEXT_LENGTH],
            span=_span(query.get("span", "")),
            operation=query.get("operation", "")[:OPERATION_LENGTH],
        )

    @property
    def is_narrow(self) -> bool:
        """Whether it has any criterion."""
        return self != ALL_CHILDREN

    @property
    def is_status_alone(self) -> bool:
        """Whether the status is its only criterion, so that a tally has the number."""
        return self.is_narrow and self == Selection(status=self.status)

    @property
    def query(self) -> str:
        """The selection as a query string, without a question mark."""
        criteria = {
            "status": self.status.value if self.status else "",
            "error": self.error,
            "q": self.text,
            "span": f"{self.span[0]}-{self.span[1]}" if self.span else "",
            "operation": self.operation,
        }
        return urlencode({name: value for name, value in criteria.items() if value})

    def children(self, batch: Batch) -> QuerySet[Node]:
        """Return the children, in no order."""
        found = Node.objects.filter(batch=batch, kind=NodeKind.CHILD).order_by()
        if self.status:
            found = found.filter(status=self.status)
        if self.error:
            found = found.filter(children_with_error(batch, self.error))
        if self.span:
            found = found.filter(position__range=self.span)
        if self.operation:
            found = found.filter(operation=self.operation)
        if self.text:
            items = Item.objects.filter(batch=batch, key__icontains=self.text).order_by()
            named = Q(workflow_id__icontains=self.text) if batch.watched_id else Q(workflow_id__iexact=self.text)
            found = found.filter(named | Q(position__in=items.values("child")))
        return found

    def number(self, batch: Batch) -> int:
        """Return the number of children."""
        if self.is_status_alone and self.status:
            return batch.children[self.status.value]
        return self.children(batch).count()


ALL_CHILDREN = Selection()
"""All children of a batch: no criterion."""


def _span(text: str) -> tuple[int, int] | None:
    first, _dash, last = text.partition("-")
    start, end = whole_number(first, None), whole_number(last, None)
    return (start, end) if start is not None and end is not None else None
