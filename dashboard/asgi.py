"""ASGI entry: HTTP, websockets, and a lifespan that runs what the web process does besides serving.

That is the worker of the dashboard's activities (notify, scheduled launches, deliveries) and, in one process at a time,
the reconciler and the dispatcher, which starts the workflows of notifications. Each is started again if it fails.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from functools import cache, partial
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")

import django
from asgiref.sync import ThreadSensitiveContext, sync_to_async
from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.db import connections
from django.urls import get_resolver, set_script_prefix

django.setup(set_prefix=False)

from dashboard.accounts.identity import Identities
from dashboard.activities.worker import run_notify_worker
from dashboard.database.migration_state import say_what_is_missing
from dashboard.database.threads import in_thread
from dashboard.database.watched_connection import Limits, WatchedConnection
from dashboard.health.own_port import begin_telling
from dashboard.health.probes import answering_probes
from dashboard.live.handshake import answering_outages
from dashboard.live.origin import SameOrigin
from dashboard.live.routing import websocket_urlpatterns
from dashboard.metrics.requests import measured
from dashboard.notifications.dispatcher import run_dispatcher
from dashboard.reconciliation.reconciler import run_reconciler
from dashboard.reconciliation.worker_watch import run_worker_watch
from dashboard.server.behind_proxy import behind_proxy
from dashboard.server.common_key import keep_comparing_key, require_common_key
from dashboard.server.drain import end_if_drained, end_loops, take_signals
from dashboard.server.former_static import run_static_keeper
from dashboard.server.leadership import lead
from dashboard.server.limits.connections import limit_connections
from dashboard.server.limits.layer import Limited
from dashboard.server.outages import log_failure
from dashboard.server.request_bodies import Handler
from dashboard.server.static_files import collect_static
from orchestration.startup import CannotStart, prepare_or_exit
from orchestration.telemetry import tracing
from orchestration.temporal.alive_file import touch_until_canceled

log = logging.getLogger(__name__)

prepare_or_exit()  # before a server listens: its own word for a failed start is neither this code nor this line


@cache
def django_http() -> Handler:
    """Return Django's handler, which serves the static files that are there when it is made."""
    return Handler()


WatchedConnection.limits = Limits(settings.DATABASE_STATEMENT_TIMEOUT)

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

RESTART_PAUSE = 2.0
"""Seconds before a background task that ended is started again."""

EXIT_PAUSE = 0.5
"""Seconds between the end of the worker and of the process, which the SDK's threads may crash otherwise."""

LEASE = "background"

LED = (run_reconciler, run_dispatcher)
"""What runs in the one web process that has the lease."""

M_ARENA_MAX = -8
"""The parameter's number in glibc's malloc.h."""

MEMORY_ARENAS = 2
"""Arenas that all threads share, where the C library is glibc. Its default on two processors is one for each of the
first 16 threads, and memory that one thread freed is not reused by another."""


async def _http(scope: Scope, receive: Any, send: Any) -> None:
    """Serve a request. Its thread keeps no database connection while the client reads, nor afterwards, however it ends.

    Django keeps it until the answer has left, and for good where a stream fails.
    """

    async def releasing(message: Mapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            await sync_to_async(connections.close_all)()
        await send(message)

    async with ThreadSensitiveContext():
        try:
            await django_http()(scope, receive, releasing)
        finally:
            await sync_to_async(connections.close_all)()


_protocols = ProtocolTypeRouter(
    {
        "http": _http,
        "websocket": answering_outages(SameOrigin(AuthMiddlewareStack(URLRouter(websocket_urlpatterns)))),
    }
)

router = behind_proxy(answering_probes(measured(Limited(_protocols, Identities().who_is), settings.STATIC_URL)))


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one connection, or the lifespan of the process, which ProtocolTypeRouter rejects."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    else:
        await router(scope, receive, send)


async def _lifespan(receive: Receive, send: Send) -> None:
    await receive()
    try:
        await in_thread(_make_ready)()
        endpoint = begin_telling()
        await require_common_key()
    except CannotStart as error:
        await send({"type": "lifespan.startup.failed", "message": str(error)})
        return
    limit_connections(receive)
    set_script_prefix(settings.ADDRESS.prefix)  # of what is reversed outside of a request
    draining = take_signals(receive)
    get_resolver().url_patterns  # noqa: B018  imports what requests need before the first one
    share_memory_arenas()
    gc.freeze()  # what is loaded by now stays, so the collector need not scan it
    alive = asyncio.create_task(touch_until_canceled())
    tasks = [asyncio.create_task(_keep_running(run)) for run in BACKGROUND]
    await send({"type": "lifespan.startup.complete"})
    stopped = asyncio.ensure_future(receive())
    drained = asyncio.create_task(draining.wait())
    await asyncio.wait([stopped, drained], return_when=asyncio.FIRST_COMPLETED)
    await end_loops(tasks)
    await stopped
    await asyncio.to_thread(tracing.stop)
    for task in (drained, alive):
        task.cancel()
    if endpoint is not None:
        endpoint.close()
    await asyncio.sleep(EXIT_PAUSE)
    await send({"type": "lifespan.shutdown.complete"})
    end_if_drained()


def _make_ready() -> None:
    """Collect static files before Django's handler looks for them, and say what the database lacks. Raises CannotStart.

    Until the database is migrated every request fails, and no load balancer finds this process ready.
    """
    collect_static()
    django_http()
    say_what_is_missing()


def share_memory_arenas() -> None:
    """Limit the arenas of threads that start after this call, unless MALLOC_ARENA_MAX is set."""
    if "MALLOC_ARENA_MAX" not in os.environ and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_ARENA_MAX, MEMORY_ARENAS)


async def run_led() -> None:
    """Run what one web process at a time does, whenever it is this one."""
    await lead(LEASE, [partial(_keep_running, run) for run in LED])


async def _keep_running(run: Callable[[], Awaitable[None]]) -> None:
    """Run a background task again whenever it ends or fails, for as long as the process lives."""
    while True:
        try:
            await run()
        except Exception as error:
            log_failure(log, "%s ended and is started again.", run.__name__, error=error)
        await asyncio.sleep(RESTART_PAUSE)


BACKGROUND = (run_notify_worker, run_worker_watch, run_led, keep_comparing_key, run_static_keeper)
"""What runs in every web process."""
