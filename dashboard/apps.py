"""The dashboard as Django knows it."""

from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.translation import gettext

from orchestration import translation


class DashboardConfig(AppConfig):
    """Lets the engine's sentences be said in the reader's language."""

    name = "dashboard"

    def ready(self) -> None:
        """Hand the translations to the engine, which knows no Django."""
        translation.use(gettext)
        if settings.DEBUG:
            BaseDatabaseWrapper.queries_limit = 0  # what background tasks write would be kept: no request ends for them
