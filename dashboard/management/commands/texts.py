"""`manage.py texts`: writes down what is to be translated beside what Django finds. `make texts` goes on from there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from dashboard.management.extract_texts import as_module, said_texts

MADE = Path(__file__).resolve().parent.parent.parent / "i18n" / "engine_texts.py"


class Command(BaseCommand):
    """Write the module that makemessages reads."""

    help = __doc__

    def handle(self, *args: Any, **options: Any) -> None:
        """Write it."""
        texts = said_texts()
        MADE.write_text(as_module(texts))
        self.stdout.write(f"{MADE.name}: {len(texts)} texts")
