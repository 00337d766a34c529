"""What a web process needs: the database with its tables, Temporal, Redis; and what a batch needs besides, a worker.

Each check looks in a thread of its own, or not at all in one: requests that wait for a neighbour must not keep the
answer from whoever asks about it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import Error, connection
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from dashboard.database.migration_state import NAMES_SHOWN, missing_migrations
from dashboard.database.threads import with_live_connections
from dashboard.temporal import gateway
from orchestration.client.reader import WorkerState
from orchestration.telemetry.checks import WITHIN, Check, Failed

WORKER_ERRORS = {
    WorkerState.WORKS: "",
    WorkerState.FROZEN: "The worker is not answering: its process lives, but does nothing.",
    WorkerState.LOST: "The worker is not answering: it sends no heartbeats.",
    WorkerState.NONE: "No worker found.",
}
NO_DATABASE, NO_TEMPORAL, NO_REDIS = "Can't reach the database.", "Can't reach Temporal.", "Can't reach Redis."
NOT_MIGRATED = "The database is not migrated: run `canopy migrate`. Missing: {names}."

Facts = Mapping[str, Any]


def in_thread_of_its_own(function: Callable[[], Facts | None], name: str) -> Callable[[], Any]:
    """Return an async function that calls one in a thread that nothing else uses."""
    thread = ThreadPoolExecutor(1, thread_name_prefix=f"check-{name}")
    live = with_live_connections(function)

    async def call() -> Facts | None:
        return await asyncio.get_running_loop().run_in_executor(thread, live)

    return call


def _database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _migrations() -> None:
    try:
        missing = missing_migrations()
    except Error as error:
        raise Failed(NO_DATABASE) from error
    if missing:
        names = ", ".join(missing[:NAMES_SHOWN])
        more = f" and {len(missing) - NAMES_SHOWN} more" if missing[NAMES_SHOWN:] else ""
        raise Failed(NOT_MIGRATED.format(names=names + more))


async def _temporal() -> None:
    client = await gateway().client()
    if not await client.service_client.check_health(timeout=timedelta(seconds=WITHIN)):
        raise Failed("Temporal says that it does not serve.")


async def _worker() -> Facts:
    health = await gateway().health()
    if not health.reachable:
        raise Failed("")  # what is wrong is Temporal
    if not health.has_worker:
        raise Failed(WORKER_ERRORS[health.worker], heartbeat_age=health.worker_heartbeat_age)
    return {"heartbeat_age": health.worker_heartbeat_age}


async def _redis() -> None:
    once = Retry(NoBackoff(), 0)
    async with Redis.from_url(
        settings.REDIS_URL, socket_timeout=WITHIN, socket_connect_timeout=WITHIN, retry=once
    ) as client:
        await client.ping()


DATABASE = Check("database", in_thread_of_its_own(_database, "database"), NO_DATABASE)
MIGRATIONS = Check("migrations", in_thread_of_its_own(_migrations, "migrations"), NO_DATABASE)
TEMPORAL = Check("temporal", _temporal, NO_TEMPORAL)
WORKER = Check("worker", _worker, "", {"heartbeat_age": None})
REDIS = Check("redis", _redis, NO_REDIS)


def needed_to_serve() -> list[Check]:
    """Return what has to be there for requests to be sent to this process: what CANOPY_READY_NEEDS names."""
    every = [DATABASE, MIGRATIONS, TEMPORAL, *([REDIS] if settings.REDIS_URL else [])]
    return [check for check in every if check.name in settings.CANOPY_READY_NEEDS]


def needed_by_batches() -> list[Check]:
    """Return all that has to be there for batches to run and to be seen."""
    return [DATABASE, MIGRATIONS, TEMPORAL, *([REDIS] if settings.REDIS_URL else []), WORKER]
