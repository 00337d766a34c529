"""`manage.py texts`: writes the texts that makemessages does not find by itself; the first step of `make texts`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from dashboard.management.extract_texts import module_source, translatable_texts

ENGINE_TEXTS = Path(__file__).resolve().parent.parent.parent / "i18n" / "engine_texts.py"


class Command(BaseCommand):
    """Write the module that makemessages reads."""

    help = __doc__

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the module."""
        texts = translatable_texts()
        ENGINE_TEXTS.write_text(module_source(texts))
        self.stdout.write(f"{ENGINE_TEXTS.name}: {len(texts)} texts")
