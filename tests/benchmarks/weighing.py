"""What batches weigh in a database, and how retention takes them away. Runs inside Django, like `in_django`."""

from __future__ import annotations

import json
import time
from datetime import timedelta

from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from dashboard.chunk_store.store import DjangoChunkStore
from dashboard.database.bulk import slices
from dashboard.models import Batch, Node
from dashboard.projection.events import apply_events
from dashboard.retention.runs import prune
from dashboard.retention.weight import database_bytes, free_bytes, weight_of
from orchestration.contracts.chunks import ItemResult
from orchestration.contracts.events import EventKind, TreeEvent
from orchestration.contracts.status import Status
from orchestration.plan.plan import Plan
from tests.support.builders import close_root, make_batch, start_root

CHILDREN_PER_CALL = 250


def weight_and_prune(items: int, chunk_size: int) -> str:
    """Write a batch that has completed, delete it, and return figures as JSON without spaces.

    `bytes` is what the database grew by, `estimated` what Canopy says of it, `left` what remains in use of it after the
    run, `longest` the longest time that a portion held its locks, `seconds` the time of the run.
    """
    before = _used()
    batch = _completed(items, chunk_size)
    grown, estimated = _used() - before, weight_of(batch).bytes
    Batch.objects.filter(pk=batch.pk).update(closed_at=timezone.now() - timedelta(days=2))
    began = time.monotonic()
    done = prune("bench", timedelta(days=1))
    seconds = time.monotonic() - began
    assert done.batches == 1
    found = {"bytes": grown, "estimated": estimated, "rows": done.rows, "longest": done.longest, "seconds": seconds}
    return json.dumps({**found, "left": _used() - before}, separators=(",", ":"))


def _used() -> int:
    """Return the bytes in use, once what was deleted is free for new rows."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM")
    return database_bytes() - free_bytes()


def _completed(items: int, chunk_size: int) -> Batch:
    person, _ = User.objects.get_or_create(username="operator")
    batch = make_batch(person, items, plan=Plan(chunk_size=chunk_size))
    start_root(batch)
    children = Node.objects.filter(batch=batch, kind="child").order_by("position")
    places = list(children.values_list("position", "workflow_id", "offset", "length"))
    now = timezone.now()
    for some in slices(places, CHILDREN_PER_CALL):
        names = [(name, f"run-{name}"[-36:]) for _, name, _, _ in some]
        apply_events(batch.pk, [TreeEvent(EventKind.STARTED, name, run, now) for name, run in names])
        results = [
            ItemResult(
                batch.pk, position, f"run-{name}"[-36:], index, 1, 0.5, {"seconds": 0.5, "attempt": 1, "data": ""}
            )
            for position, name, offset, length in some
            for index in range(offset, offset + length)
        ]
        for written in slices(results, 1_000):
            DjangoChunkStore().write_results(list(written))
        end = now + timedelta(seconds=1)
        closed = [TreeEvent(EventKind.CLOSED, name, run, end, Status.COMPLETED) for name, run in names]
        apply_events(batch.pk, closed)
    close_root(batch, at=now + timedelta(seconds=2))
    batch.refresh_from_db()
    assert not batch.is_open
    return batch
