"""Writes the results of items, and the change of the tallies with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from django.db import connection
from django.db.models import F
from django.utils import timezone

from dashboard.database.bulk import read_columns, update_rows, write_columns
from dashboard.database.sanitising import json_text, storable, text
from dashboard.metrics import definitions as metrics
from dashboard.models import Attempt, Item
from dashboard.projection.item_counts import tallying_items
from orchestration.contracts.chunks import ItemResult
from orchestration.contracts.events import NodeKind
from orchestration.contracts.status import Status
from orchestration.errors.signatures import signature_of

EARLIER_FAILURES = 20
"""Failures of earlier runs that an item keeps at most."""

COMPLETED_COLUMNS = ("status", "attempts", "run_id", "result", "duration", "finished_at")
"""Columns that change when an item completes that has never failed."""

RESULT_STATE = (*COMPLETED_COLUMNS, "error_type", "error_message", "error_stack", "signature", "earlier")


def write_undone(batch_id: str, results: Mapping[int, ItemResult]) -> None:
    """Record the outcome of undoing items; their results stay readable."""
    now = timezone.now()
    for index, result in results.items():
        failure = result.failure
        error = text(f"{failure.type}: {failure.message}") if failure else ""
        changed = {"undo_error": error} if failure else {"undo_error": "", "undone_at": result.finished_at or now}
        Item.objects.filter(batch=batch_id, index=index).update(**changed)


def write_processed(batch_id: str, results: Mapping[int, ItemResult]) -> None:
    """Record results by index. A completed item never becomes anything else. Raises Batch.DoesNotExist."""
    with tallying_items(batch_id, _newest(results.values())) as moved:
        failing = {index: Status.PENDING for index, result in results.items() if result.failure is not None}
        others = failing | _statuses_before(batch_id, results)
        first = [result for index, result in results.items() if index not in others]
        for result in first:
            moved[result.child]["items_completed"] += 1
        _write_completed(batch_id, first)
        left = [index for index, status in others.items() if status != Status.COMPLETED]
        if left:
            _write_failed_or_retried(batch_id, Item.objects.filter(batch=batch_id, index__in=left), results, moved)
    for outcome in (Status.COMPLETED, Status.FAILED):
        number = sum(columns[f"items_{outcome.value}"] for columns in moved.values())
        metrics.items_recorded.labels(outcome.value).inc(max(0, number))


def _newest(results: Iterable[ItemResult]) -> datetime | None:
    return max((result.finished_at for result in results if result.finished_at is not None), default=None)


def _statuses_before(batch_id: str, indices: Collection[int]) -> dict[int, str]:
    """Return the statuses of those items that have failed or completed before, by index."""
    among = ", ".join(["%s"] * len(indices))
    where = f'batch_id = %s AND "index" IN ({among}) AND NOT (status = %s AND error_type = %s)'
    return dict(read_columns(Item, ("index", "status"), where, (batch_id, *indices, Status.PENDING.value, "")))


def _write_completed(batch_id: str, results: Sequence[ItemResult]) -> None:
    """Write items that completed at their first attempt. They are most, so they are not read or made models first."""
    status, now, adapted = Status.COMPLETED.value, timezone.now(), connection.ops.adapt_datetimefield_value
    values = [
        (
            *(status, each.attempts, each.run_id, json_text(each.result), each.duration),
            *(adapted(each.finished_at or now),),
            *(batch_id, each.index),
        )
        for each in results
    ]
    write_columns(Item, COMPLETED_COLUMNS, values, key=("batch_id", "index"))


def _write_failed_or_retried(
    batch_id: str, items: Iterable[Item], results: Mapping[int, ItemResult], moved: dict[int, Counter[str]]
) -> None:
    """Write items that failed now or before."""
    outdated = _outdated_runs(batch_id, results.values())
    written = list[Item]()
    for item in items:
        result = results[item.index]
        if not _may_change(item, result) or (result.failure is not None and result.run_id in outdated):
            continue
        if item.status == Status.FAILED:
            moved[item.child]["items_failed"] -= 1
        _apply_result(item, result)
        moved[item.child][f"items_{item.status}"] += 1
        written.append(item)
    update_rows(Item, written, RESULT_STATE)


def _may_change(item: Item, result: ItemResult) -> bool:
    """Whether a result may change an item: not one that completed, nor a second failure in the same run."""
    if item.status == Status.COMPLETED:
        return False
    return item.status != Status.FAILED or item.run_id != result.run_id or result.failure is None


def _outdated_runs(batch_id: str, results: Iterable[ItemResult]) -> set[str]:
    """Return runs that report failures although their child has a newer run: a lost worker still writes."""
    failed = [result for result in results if result.failure is not None]
    if not failed:
        return set()
    attempts = Attempt.objects.filter(
        node__batch=batch_id,
        node__kind=NodeKind.CHILD,
        node__position__in={result.child for result in failed},
        run_id__in={result.run_id for result in failed},
    )
    return set(attempts.exclude(run_id=F("node__run_id")).values_list("run_id", flat=True))


def _apply_result(item: Item, result: ItemResult) -> None:
    if item.error_type:
        earlier = {
            "attempts": item.attempts,
            "type": item.error_type,
            "message": item.error_message,
            "at": item.finished_at.isoformat() if item.finished_at else None,
        }
        item.earlier = [*item.earlier, earlier][-EARLIER_FAILURES:]
    failure = result.failure
    item.status = Status.COMPLETED if failure is None else Status.FAILED
    item.attempts = result.attempts
    item.run_id = result.run_id
    item.result = storable(result.result)
    item.error_type = text(failure.type[:200]) if failure else ""
    item.error_message = text(failure.message) if failure else ""
    item.error_stack = text(failure.stack) if failure else ""
    item.signature = signature_of(failure.type, failure.message) if failure else item.signature
    item.duration = result.duration
    item.finished_at = result.finished_at or timezone.now()
