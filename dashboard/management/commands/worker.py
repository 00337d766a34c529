"""manage.py worker: runs workflows and processes chunks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from dashboard.chunk_store.store import DjangoChunkStore
from dashboard.database.migration_state import say_what_is_missing
from dashboard.database.watched_connection import Limits, WatchedConnection
from dashboard.server.standby import STANDBY, await_work
from dashboard.temporal import connection
from orchestration.activities.parents import ParentActivities
from orchestration.contracts.names import CHILD_TASK_QUEUE
from orchestration.processors.own_signals import refuse_own_signals
from orchestration.startup import CannotStart, prepare
from orchestration.worker import GRACE, serve

STATEMENT_TIMEOUT = 600.0
"""Seconds: nobody waits at a screen for what a worker writes."""


class Command(BaseCommand):
    """Serve task queues until stopped."""

    help = "Run a worker for workflows and for the chunks of the given task queues."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the queues and the grace period."""
        parser.add_argument("--queue", action="append", help=f"task queue, repeatable (default: {CHILD_TASK_QUEUE})")
        seconds, about = GRACE.total_seconds(), "seconds that chunks get to finish on shutdown"
        parser.add_argument(STANDBY, action="store_true", help="load everything, then wait for a line of input")
        parser.add_argument("--grace", type=float, default=seconds, help=f"{about} (default: {seconds:g})")

    def handle(
        self, *args: Any, queue: list[str] | None = None, grace: float, standby: bool = False, **options: Any
    ) -> None:
        """Run until SIGTERM or SIGINT. Raises CommandError if a processor cannot be used."""
        refuse_own_signals()
        try:
            prepare()
            say_what_is_missing()
        except CannotStart as error:
            raise CommandError(str(error), returncode=2) from error
        WatchedConnection.limits = Limits(STATEMENT_TIMEOUT)
        if standby:
            await_work()
        serve(connection(), ParentActivities(DjangoChunkStore()), queue or [CHILD_TASK_QUEUE], timedelta(seconds=grace))
