"""Downloads of a batch's items with what became of them: streamed, so that memory does not grow with their number."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Q
from django.http import HttpRequest, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from dashboard.models import Batch, Item, NodeStatus
from orchestration.error_kinds import error_kind

ROWS_AT_ONCE = 2_000
OWN = (
    "index",
    "key",
    "child",
    "status",
    "attempts",
    "duration",
    "finished_at",
    "error_kind",
    "error_type",
    "error_message",
)

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the start of a formula."""


class _Echo:
    """Hands a row that csv has written straight on."""

    def write(self, value: str) -> str:
        return value


@require_safe
def batch_export(request: HttpRequest, batch_id: str, form: str) -> StreamingHttpResponse:
    """Send the items, all or those in `status`, as CSV or JSON Lines."""
    batch = get_object_or_404(Batch, id=batch_id)
    status = request.GET.get("status", "")
    items = Item.objects.filter(batch=batch).with_shown_status().order_by("index")
    if status in NodeStatus.values:
        items = items.filter(Q(shown_status=status))
    found = items.iterator(chunk_size=ROWS_AT_ONCE)
    lines = csv_lines(found, _columns(batch)) if form == "csv" else json_lines(found)
    kind = "text/csv; charset=utf-8" if form == "csv" else "application/x-ndjson"
    answer = StreamingHttpResponse(lines, content_type=kind)
    answer["Content-Disposition"] = f'attachment; filename="{batch_id}{"-" + status if status else ""}.{form}"'
    return answer


def _columns(batch: Batch) -> tuple[list[str], list[str]]:
    """Return the fields of the items and of their results, as the first ones have them."""
    data, results = dict[str, None](), dict[str, None]()
    for given, result in batch.items.order_by("index").values_list("data", "result")[:ROWS_AT_ONCE]:
        data |= dict.fromkeys(given)
        results |= dict.fromkeys(result if isinstance(result, dict) else ())
    return list(data), list(results)


def _own(item: Any) -> dict[str, Any]:
    shown = {name: getattr(item, name) for name in OWN if name not in ("status", "error_kind")}
    kind = error_kind(item.error_type) if item.error_type else ""
    return shown | {"status": item.shown_status, "error_kind": kind}


def json_lines(items: Iterator[Item]) -> Iterator[str]:
    """Yield each item as one line of JSON, with its data and result."""
    for item in items:
        whole = _own(item) | {"data": item.data, "result": item.result}
        yield json.dumps(whole, cls=DjangoJSONEncoder, ensure_ascii=False) + "\n"


def csv_lines(items: Iterator[Item], columns: tuple[list[str], list[str]]) -> Iterator[str]:
    """Yield a header and each item as a line of CSV; fields of data and result are columns of their own."""
    data, results = columns
    writer = csv.writer(_Echo())
    yield writer.writerow([*OWN, *(f"item.{name}" for name in data), *(f"result.{name}" for name in results)])
    for item in items:
        own, result = _own(item), item.result if isinstance(item.result, dict) else {}
        values = [*(own[name] for name in OWN), *(item.data.get(name) for name in data)]
        yield writer.writerow([cell(value) for value in (*values, *(result.get(name) for name in results))])


def cell(value: Any) -> Any:
    """Return a value as a cell that no spreadsheet takes for a formula."""
    if isinstance(value, dict | list):
        value = json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False)
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    return "" if value is None else value
