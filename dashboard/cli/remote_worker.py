"""A worker on a machine that has only the dashboard's address, without Django and the database."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import timedelta

import httpx

from dashboard.cli.refusal import Refused
from orchestration.activities.chunks import ChunkActivities
from orchestration.activities.store_calls import pauses
from orchestration.contracts.names import CHILD_TASK_QUEUE, DASHBOARD_TASK_QUEUE
from orchestration.contracts.stores import StoreAway
from orchestration.processors.own_signals import refuse_own_signals
from orchestration.remote.store import RemoteStore, StoreRefused
from orchestration.startup import CannotStart, prepare
from orchestration.telemetry import log_lines
from orchestration.temporal.profile import connection_of_environment
from orchestration.worker import GRACE, serve

log = logging.getLogger(__name__)


def serve_remotely(url: str, token: str, queues: Sequence[str], grace: float | None) -> None:
    """Run the worker until SIGTERM or SIGINT, once its dashboard answers. Raises Refused."""
    own = sorted({CHILD_TASK_QUEUE, DASHBOARD_TASK_QUEUE} & set(queues))
    if own:
        raise Refused(f"The queue {own[0]!r} is reserved for Canopy: its workers run next to the dashboard's database.")
    refuse_own_signals()
    try:
        log_lines.configure()
        prepare()
        store = RemoteStore(url, token)
        _await_dashboard(store, url, queues)
    except (CannotStart, StoreRefused, ValueError, httpx.HTTPError) as error:
        raise Refused(str(error)) from error
    seconds = GRACE if grace is None else timedelta(seconds=grace)
    serve(connection_of_environment(), ChunkActivities(store), queues, seconds)


def _await_dashboard(store: RemoteStore, url: str, queues: Sequence[str]) -> None:
    """Wait until the dashboard answers. Raises StoreRefused, httpx.HTTPError."""
    for pause in pauses():
        try:
            return store.check(queues)
        except StoreRefused:
            raise
        except StoreAway as error:
            log.warning("The dashboard at %s does not answer (%s): the next try is in %s s.", url, error, pause)
        time.sleep(pause)
    raise AssertionError("The pauses never end.")
