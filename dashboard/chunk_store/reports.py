"""Reports: what a batch came to, written once its last child has closed, as data and as Markdown."""

from __future__ import annotations

import logging
import re
from collections import Counter
from dataclasses import asdict
from typing import Any

from django.db.models import Count, QuerySet

from dashboard.database.sanitising import storable
from dashboard.models import Batch, Item, NodeStatus, Report
from orchestration.contracts.fan_out import SummariseInput
from orchestration.processors.catalogue import processors

log = logging.getLogger(__name__)

SLOWEST = 10
RESULTS_AT_ONCE = 2_000
GROUPS = 50
"""Groups of errors that a report lists, the most frequent ones."""

NUMBERS = re.compile(r"\d+")
QUANTILES = {"p50": 0.5, "p95": 0.95, "max": 1.0}


def write_report(given: SummariseInput) -> None:
    """Write the report of a run unless there is one. Raises LookupError for a batch that is gone."""
    batch = Batch.objects.filter(pk=given.batch_id).first()
    if batch is None:
        raise LookupError(f"Batch {given.batch_id} does not exist.")
    Report.objects.get_or_create(batch=batch, run_id=given.run_id, defaults={"content": content_of(batch, given)})


def content_of(batch: Batch, given: SummariseInput) -> dict[str, Any]:
    """Return a report as data: counts, success rate (0 to 1), seconds of items, slowest items, errors in groups."""
    items = Item.objects.filter(batch=batch)
    by_status = dict(items.order_by().values_list("status").annotate(Count("pk")))
    completed, failed = by_status.get(NodeStatus.COMPLETED, 0), by_status.get(NodeStatus.FAILED, 0)
    timed = items.filter(duration__isnull=False)
    slowest = timed.order_by("-duration", "index").values_list("key", "duration")[:SLOWEST]
    return {
        "batch": {"id": batch.pk, "label": batch.label, "processor": batch.processor},
        "launched_by": batch.launched_by.get_username(),
        "launched_at": batch.created_at.isoformat(),
        "outcome": given.outcome,
        "reason": given.reason,
        "children": asdict(given.counts),
        "items": {"total": batch.item_count, "completed": completed, "failed": failed},
        "success_rate": completed / (completed + failed) if completed + failed else None,
        "seconds": _durations(timed),
        "slowest": [{"key": key, "seconds": seconds} for key, seconds in slowest],
        "errors": _errors(items.filter(status=NodeStatus.FAILED)),
        "summary": _summary(batch),
    }


def _summary(batch: Batch) -> dict[str, Any]:
    """Return what the batch's processor makes of its results, where it has something to say of them."""
    made = processors().get(batch.processor)
    if made is None or made.report is None:
        return {}
    results = Item.objects.filter(batch=batch, status=NodeStatus.COMPLETED).order_by("index")
    try:
        said = made.report(results.values_list("result", flat=True).iterator(chunk_size=RESULTS_AT_ONCE))
        return {str(name): storable(value) for name, value in said.items()}
    except Exception as error:
        log.exception("%s cannot sum up batch %s.", made.name, batch.pk)
        return {"error": f"{type(error).__name__}: {error}"}


def _durations(items: QuerySet[Item]) -> dict[str, float]:
    number = items.count()
    if not number:
        return {}
    ordered = items.order_by("duration").values_list("duration", flat=True)
    return {name: float(ordered[min(number - 1, int(share * number))] or 0) for name, share in QUANTILES.items()}


def _errors(items: QuerySet[Item]) -> list[dict[str, Any]]:
    """Group failures by type and message, with numbers in the message taken for the same; most frequent first."""
    numbers, samples = Counter[tuple[str, str]](), dict[tuple[str, str], dict[str, str]]()
    for kind, message, key in items.order_by("index").values_list("error_type", "error_message", "key").iterator():
        group = (kind, NUMBERS.sub("#", message)[:500])
        numbers[group] += 1
        samples.setdefault(group, {"key": key, "message": message[:500]})
    return [
        {"type": group[0], "number": number, "sample": samples[group]} for group, number in numbers.most_common(GROUPS)
    ]
