"""DatabaseWrapper: Django's own, which behind a pooler leaves nothing in a session of the server.

Named in the settings: it imports no models.
"""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql import base

from dashboard.database.watched_connection import WatchedConnection


class DatabaseWrapper(base.DatabaseWrapper):
    """Behind a pooler each transaction has its limits, and a cursor ends with its transaction."""

    def create_cursor(self, name: str | None = None) -> Any:
        """Return a cursor; with a name it is one of the server, unless another session may be asked for its rows."""
        is_shared = isinstance(self.connection, WatchedConnection) and self.connection.is_pooled
        return super().create_cursor(None if is_shared and self.connection.autocommit else name)

    def _set_autocommit(self, autocommit: bool) -> None:
        super()._set_autocommit(autocommit)  # type: ignore[misc]  # the stubs do not know it
        if autocommit or not isinstance(self.connection, WatchedConnection):
            return
        try:
            with self.wrap_database_errors:
                self.connection.limit_transaction()
        except BaseException:
            self.close()  # Django does not know that its transaction has begun
            raise
