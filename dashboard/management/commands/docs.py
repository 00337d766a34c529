"""`manage.py docs`: writes the pages of docs/ that are generated from the code; the first step of `make docs`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from dashboard.documentation.pages import write_pages


class Command(BaseCommand):
    """Write the pages that differ."""

    help = __doc__

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the pages."""
        for path in write_pages():
            self.stdout.write(f"{path.name} is written anew.")
