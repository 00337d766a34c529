"""canopy: the command of a machine that runs only a worker, without Django and the dashboard's database."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections.abc import Sequence
from datetime import timedelta

import httpx

from orchestration.activities.chunks import ChunkActivities
from orchestration.activities.store_calls import pauses
from orchestration.contracts.names import CHILD_TASK_QUEUE, DASHBOARD_TASK_QUEUE
from orchestration.contracts.stores import StoreAway
from orchestration.processors.own_signals import refuse_own_signals
from orchestration.remote.store import RemoteStore, StoreRefused
from orchestration.startup import CannotStart, prepare
from orchestration.temporal.connection import connection_of_environment
from orchestration.worker import GRACE, serve

log = logging.getLogger(__name__)
URL, TOKEN = "CANOPY_URL", "CANOPY_TOKEN"
ABOUT = f"""
Temporal: set TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_API_KEY, TEMPORAL_TLS.
Dashboard: set {URL} to its URL and {TOKEN} to a worker's API token for these queues.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and end the process; exit code 2 for arguments or settings that cannot work."""
    parser = argparse.ArgumentParser("canopy", description=__doc__)
    worker = parser.add_subparsers(required=True, metavar="COMMAND").add_parser(
        "worker",
        help="process the items of a task queue",
        epilog=ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    worker.add_argument("--queue", action="append", required=True, help="task queue, repeatable")
    worker.add_argument("--processors", default="", help="modules with processors, separated by commas")
    worker.add_argument(
        "--grace", type=float, default=GRACE.total_seconds(), help="seconds that items get to finish on shutdown"
    )
    given = parser.parse_args(arguments)
    refuse_own_signals()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        store = _prepare(given)
    except (CannotStart, StoreRefused, httpx.HTTPError) as error:
        parser.exit(2, f"canopy: {error}\n")
    serve(connection_of_environment(), ChunkActivities(store), given.queue, timedelta(seconds=given.grace))


def _prepare(given: argparse.Namespace) -> RemoteStore:
    """Load the processors and check the connection to the dashboard, for which it waits.

    Raises CannotStart, StoreRefused, httpx.HTTPError.
    """
    own = sorted({CHILD_TASK_QUEUE, DASHBOARD_TASK_QUEUE} & set(given.queue))
    if own:
        raise CannotStart(
            f"The queue {own[0]!r} is reserved for Canopy: its workers run next to the dashboard's database."
        )
    for name in (URL, TOKEN):
        if not os.environ.get(name):
            raise CannotStart(f"{name} is not set.{ABOUT}")
    if given.processors:
        os.environ["CANOPY_PROCESSORS"] = given.processors
    sys.path.insert(0, os.getcwd())  # noqa: PTH109  as Python itself does for a module
    prepare()
    store = RemoteStore(os.environ[URL], os.environ[TOKEN].strip())
    _await_dashboard(store, given.queue)
    return store


def _await_dashboard(store: RemoteStore, queues: Sequence[str]) -> None:
    """Wait until the dashboard answers. Raises StoreRefused, httpx.HTTPError."""
    for pause in pauses():
        try:
            return store.check(queues)
        except StoreRefused:
            raise
        except StoreAway as error:
            log.warning(
                "The dashboard at %s does not answer (%s): the next try is in %s s.", os.environ[URL], error, pause
            )
        time.sleep(pause)
    raise AssertionError("The pauses never end.")
