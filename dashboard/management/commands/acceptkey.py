"""manage.py acceptkey: makes this machine's secret key the installation's, after the former one was lost."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from dashboard.server.common_key import accept_key


class Command(BaseCommand):
    """Make the secret key that is configured here the one that all web processes need."""

    help = "Make the configured secret key the installation's: web processes with another one do not start any more."

    def handle(self, *args: Any, **options: Any) -> None:
        """Accept it."""
        accept_key()
        self.stdout.write("Web processes start with this key alone. Everybody has to log in again.")
