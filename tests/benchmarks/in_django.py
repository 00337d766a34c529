"""What benchmarks run inside Django, through `manage.py shell`: batches written as a launch does, and times of writes.

Import nothing from here: the process that measures has no Django. `shell_command` names a function instead.
"""

from __future__ import annotations

import threading
import time
from datetime import timedelta

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dashboard.chunk_store.store import DjangoChunkStore
from dashboard.models import Batch, Node
from dashboard.projection.events import apply_events
from orchestration.contracts.chunks import ItemResult
from orchestration.contracts.events import EventKind, TreeEvent
from orchestration.contracts.status import Status
from orchestration.plan.choices import Execution
from orchestration.plan.plan import Plan
from tests.support.builders import make_batch, run_children, start_root

FINISHED = 50
"""Children that have failed or completed where the others are pending."""

CHILDREN_PER_CALL = 250
"""Each starts and closes: a call of 500 events, as parents make them."""


def running_batch(children: int, plan: Plan) -> Batch:
    """Write a batch of the operator whose root is running."""
    person, _ = User.objects.get_or_create(username="operator")
    with transaction.atomic():  # or the reconciler finds it pending, and starts it
        batch = make_batch(person, children, plan=plan)
        start_root(batch)
    return batch


def batch_without_workflows(children: int) -> str:
    """Return the id of a running batch whose children are no workflows."""
    return running_batch(children, Plan(window=200, execution=Execution.NO_CHILDREN)).pk


def batch_with_failures(children: int) -> str:
    """Return the id of such a batch in which one of the first children has failed and the others have completed."""
    batch = running_batch(children, Plan(window=200, execution=Execution.NO_CHILDREN))
    run_children(batch, {place: Status.COMPLETED if place else Status.FAILED for place in range(FINISHED)})
    return batch.pk


def queries_of_page(batch_id: str) -> int:
    """Return the number of SQL queries of a batch's page, once everything is warm."""
    client = Client(headers={"host": "127.0.0.1"})
    client.force_login(User.objects.get(username="operator"))
    client.get(f"/batches/{batch_id}/")
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(f"/batches/{batch_id}/")
    assert answer.status_code == 200
    return len(queries)


def events_projected_per_second(children: int) -> float:
    """Have every child start and close, and return the events a second."""
    batch_id = batch_without_workflows(children)
    nodes = Node.objects.filter(batch=batch_id, kind="child").order_by("position")
    names = list(nodes.values_list("workflow_id", flat=True))
    now = timezone.now()
    closed = now + timedelta(seconds=1)
    calls = []
    for first in range(0, children, CHILDREN_PER_CALL):
        some = names[first : first + CHILDREN_PER_CALL]
        started = [TreeEvent(EventKind.STARTED, name, f"run-{name}", now) for name in some]
        calls.append(
            started + [TreeEvent(EventKind.CLOSED, name, f"run-{name}", closed, Status.COMPLETED) for name in some]
        )
    began = time.perf_counter()
    for events in calls:
        apply_events(batch_id, events)
    return 2 * children / (time.perf_counter() - began)


def slowdown_of_writes_beside_a_computing_thread(results: int) -> float:
    """Write so many results alone and again while a thread computes, and return the second time as a ratio."""
    batch = running_batch(2 * results, Plan(chunk_size=2 * results))
    is_done = threading.Event()

    def compute() -> None:
        while not is_done.is_set():
            sum(number * number for number in range(1_000))

    def write(first: int) -> float:
        indices = range(first, first + results)
        written = [ItemResult(batch.pk, 0, "run", index, 1, 0.5, {"n": index}) for index in indices]
        began = time.perf_counter()
        DjangoChunkStore().write_results(written)
        return time.perf_counter() - began

    alone = write(0)
    computing = threading.Thread(target=compute)
    computing.start()
    beside = write(results)
    is_done.set()
    computing.join()
    return beside / alone
