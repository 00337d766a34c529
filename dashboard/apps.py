"""The Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings
from django.contrib.auth.signals import user_logged_in
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.translation import gettext, ngettext

from dashboard.database.text_search import use_folding
from orchestration import translation


class DashboardConfig(AppConfig):
    """Has the engine's texts translated by Django."""

    name = "dashboard"

    def ready(self) -> None:
        """Give the engine, which imports no Django, its translation function; have sessions begin with a log-in.

        SQLite searches like PostgreSQL.
        """
        from dashboard.accounts.sessions import begin_session  # its models are known from here on

        user_logged_in.connect(begin_session, dispatch_uid="begin_session")
        use_folding()
        translation.use(gettext, ngettext)
        if settings.DEBUG:
            BaseDatabaseWrapper.queries_limit = 0  # what background tasks write would be kept: no request ends for them
