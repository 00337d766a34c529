"""manage.py migrate: Django's, by one process at a time."""

from __future__ import annotations

from typing import Any

from django.core.management.commands.migrate import Command as DjangoMigrate
from django.db import connections

from dashboard.database.one_process import one_process

WAITING = "Another process is migrating this database. Waiting for it to finish."


class Command(DjangoMigrate):
    """Migrate, or wait for the process that does and find that nothing is left to do."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Hold the lock meanwhile."""
        with one_process(connections[options["database"]], "migrate", lambda: self.stderr.write(WAITING)):
            super().handle(*args, **options)
