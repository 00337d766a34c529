"""Reports: what a batch came to, as data, written once its last child has closed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

from django.db.models import Count, Min, QuerySet
from pydantic_core import to_jsonable_python

from dashboard.database.sanitising import storable
from dashboard.models import Batch, Item, NodeStatus, Report
from dashboard.queries.error_groups import failed_items
from orchestration.contracts.fan_out import SummariseInput
from orchestration.processors.catalogue import processors
from orchestration.processors.raised import Outcome, failure_of_raised

log = logging.getLogger(__name__)

SLOWEST = 10
RESULTS_AT_ONCE = 2_000
GROUPS = 50
"""Groups of errors that a report lists, the largest ones."""

MESSAGE_LENGTH = 500

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
        "errors": _errors(batch),
        "summary": _summary(batch),
    }


def _summary(batch: Batch) -> dict[str, Any]:
    """Return what the batch's processor sums its results up to; nothing where it has no such function."""
    processor = processors().get(batch.processor)
    if processor is None or processor.report is None:
        return {}
    results = Item.objects.filter(batch=batch, status=NodeStatus.COMPLETED).order_by("index")
    read = results.values_list("result", flat=True).iterator(chunk_size=RESULTS_AT_ONCE)
    outcome = Outcome.of(_summed_up, processor.report, read)
    if outcome.error is not None:
        log.error("%s cannot sum up batch %s.", processor.name, batch.pk, exc_info=outcome.error)
        failure = failure_of_raised(outcome.error)
        return {"error": f"{failure.type}: {failure.message}"}
    summary: dict[str, Any] = outcome.value
    return summary


def _summed_up(report: Callable[[Iterable[Any]], Mapping[str, Any]], results: Iterable[Any]) -> dict[str, Any]:
    return {str(name): storable(to_jsonable_python(value)) for name, value in report(results).items()}


def _durations(items: QuerySet[Item]) -> dict[str, float]:
    number = items.count()
    if not number:
        return {}
    ordered = items.order_by("duration").values_list("duration", flat=True)
    return {name: float(ordered[min(number - 1, int(share * number))] or 0) for name, share in QUANTILES.items()}


def _errors(batch: Batch) -> list[dict[str, Any]]:
    """Return the groups of failed items, the largest first, each with its first item as a sample."""
    failed = failed_items(batch)
    groups = failed.values("signature").annotate(number=Count("pk"), first=Min("index")).order_by("-number", "first")
    numbers = dict(groups.values_list("first", "number")[:GROUPS])
    samples = {item.index: item for item in failed.filter(index__in=numbers)}
    return [
        {
            "type": samples[first].error_type,
            "number": number,
            "sample": {"key": samples[first].key, "message": samples[first].error_message[:MESSAGE_LENGTH]},
        }
        for first, number in numbers.items()
    ]
