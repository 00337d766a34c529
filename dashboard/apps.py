"""The Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.translation import gettext, ngettext

from dashboard.database.text_search import use_folding
from orchestration import translation


class DashboardConfig(AppConfig):
    """Has the engine's texts translated by Django."""

    name = "dashboard"

    def ready(self) -> None:
        """Give the engine, which imports no Django, its translation function; let SQLite search like PostgreSQL."""
        use_folding()
        translation.use(gettext, ngettext)
        if settings.DEBUG:
            BaseDatabaseWrapper.queries_limit = 0  # what background tasks write would be kept: no request ends for them
