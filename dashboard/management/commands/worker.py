"""manage.py worker: runs workflows and processes chunks."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from dashboard.store import DjangoChunkStore
from dashboard.temporal import connection
from orchestration.activities import ChunkActivities
from orchestration.contracts import CHILD_TASK_QUEUE
from orchestration.payloads import data_converter
from orchestration.processors.registry import CannotLoad, load
from orchestration.worker import GRACE, run_worker


class Command(BaseCommand):
    """Serve task queues until told to stop."""

    help = "Run a worker: workflows, and the chunks of the given task queues."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the queues."""
        parser.add_argument("--queue", action="append", help=f"task queue, repeatable (default: {CHILD_TASK_QUEUE})")
        seconds, about = GRACE.total_seconds(), "seconds that chunks have to finish when the worker is stopped"
        parser.add_argument("--grace", type=float, default=seconds, help=f"{about} (default: {seconds:g})")

    def handle(self, *args: Any, queue: list[str] | None = None, grace: float, **options: Any) -> None:
        """Run until SIGTERM or SIGINT. Does not start with a processor that cannot be used."""
        try:
            load()
            data_converter()
        except (CannotLoad, ValueError) as error:
            raise CommandError(str(error)) from error
        asyncio.run(_serve(queue or [CHILD_TASK_QUEUE], timedelta(seconds=grace)))
        logging.shutdown()
        sys.stdout.flush()
        # The SDK's threads sometimes crash the interpreter on its way out; all work is done and written by now.
        os._exit(0)


async def _serve(queues: list[str], grace: timedelta) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await run_worker(connection(), ChunkActivities(DjangoChunkStore()), stop, queues=queues, grace=grace)
