"""Leftovers: rows and files that belong to no batch, or no longer, and that only time takes away."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db.models import QuerySet

from dashboard.database.deleting import Portions
from dashboard.models import (
    Batch,
    DefinitionVersion,
    Delivery,
    DeliveryStatus,
    Operation,
    PruneRun,
    Schedule,
    TokenUse,
    UnansweredCommand,
    Upload,
)

UPLOADS_UNUSED_FOR = timedelta(days=7)
"""An upload that nothing refers to is kept for so long after it was last given: it may stand in an open form."""

INCOMING_FOR = timedelta(days=1)
"""A file that was being received for so long is of a process that was killed."""

KEYS_AT_ONCE = 10_000


def take_away(portions: Portions, now: datetime) -> dict[str, int]:
    """Delete what is over, and return how many there were of each kind, by name; what there was none of is left out."""
    found = {name: _delete(rows, portions) for name, rows in _over(now).items()}
    found["uploads"] = sum(1 for _ in _delete_uploads(now, portions))
    found["incoming files"] = _delete_incoming()
    return {name: number for name, number in found.items() if number}


def left_over(now: datetime) -> dict[str, int]:
    """Return how many of each kind would be deleted, by name."""
    found = {name: rows.count() for name, rows in _over(now).items()}
    found["uploads"] = len(unused_uploads(now))
    return {name: number for name, number in found.items() if number}


def _over(now: datetime) -> Mapping[str, QuerySet[Any]]:
    """Return the rows that are over, by what they are called; of sessions those that Django's clearsessions would."""
    trail = now - timedelta(days=settings.CANOPY_TRAIL_DAYS)
    delivered = Delivery.objects.exclude(status=DeliveryStatus.PENDING)
    return {
        "sessions": Session.objects.filter(expire_date__lt=now),
        "failed log-ins": AccessAttempt.objects.filter(attempt_time__lt=trail),
        "failed log-ins by time": AccessFailureLog.objects.filter(attempt_time__lt=trail),
        "log-ins": AccessLog.objects.filter(attempt_time__lt=trail),
        "uses of tokens": TokenUse.objects.filter(at__lt=trail),
        "deliveries": delivered.filter(made_at__lt=trail),
        "answered commands": UnansweredCommand.objects.filter(settled_at__lt=trail),
        "runs of retention": PruneRun.objects.filter(ended_at__lt=trail),
    }


def _delete(rows: QuerySet[Any], portions: Portions) -> int:
    number = 0
    while keys := list(rows.order_by().values_list("pk", flat=True)[:KEYS_AT_ONCE]):
        if not (deleted := portions.delete(rows.model, keys)):
            break
        number += deleted
    return number


def unused_uploads(now: datetime) -> list[Upload]:
    """Return the uploads that no batch, schedule, definition or operation refers to."""
    old = {upload.pk: upload for upload in Upload.objects.filter(uploaded_at__lt=now - UPLOADS_UNUSED_FOR)}
    if not old:
        return []
    for said in _texts():
        for text in said:
            old.pop(text, None)
    texts = DefinitionVersion.objects.values_list("text", flat=True)
    for text in texts.iterator():
        for name in [name for name in old if name in text]:
            del old[name]
    return list(old.values())


def _texts() -> Iterator[Iterator[str]]:
    """Yield all texts in what may refer to an upload."""
    for source, parameters in Batch.everything.values_list("source", "parameters").iterator():
        yield strings_in([source, parameters])
    schedules = Schedule.objects.filter(deleted_at=None).values_list("upload", "request")
    for upload, request in schedules.iterator():
        yield strings_in([upload, request])
    for parameters in Operation.objects.exclude(parameters=None).values_list("parameters", flat=True).iterator():
        yield strings_in(parameters)


def strings_in(value: Any) -> Iterator[str]:
    """Yield all texts in a JSON value."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            yield each
        elif isinstance(each, dict):
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)


def _delete_uploads(now: datetime, portions: Portions) -> Iterator[str]:
    """Delete unused uploads, the file before its row, so that none is left that no row names."""
    for upload in unused_uploads(now):
        unused = Upload.objects.filter(pk=upload.pk, uploaded_at__lt=now - UPLOADS_UNUSED_FOR)
        if not unused.exists():
            continue
        upload.file.storage.delete(str(upload.file.name))
        Schedule.objects.filter(upload=upload).exclude(deleted_at=None).update(upload=None)
        portions.delete(Upload, [upload.pk])
        yield upload.pk


def _delete_incoming() -> int:
    """Delete files that were being received by processes of this machine that are gone."""
    number, before = 0, time.time() - INCOMING_FOR.total_seconds()
    for path in Path(settings.FILE_UPLOAD_TEMP_DIR).iterdir():
        if path.is_file() and path.stat().st_mtime < before:
            path.unlink(missing_ok=True)
            number += 1
    return number
