"""Search without regard to case, in SQLite as in PostgreSQL: SQLite's LIKE folds the letters of ASCII alone."""

from __future__ import annotations

from typing import Any

from django.db.models import CharField, TextField
from django.db.models.lookups import IContains, IExact, IStartsWith

from dashboard.database.sqlite_functions import sqlite_function


@sqlite_function(1)
def fold(value: str | None) -> str | None:
    """Return a text with its letters folded one by one, as PostgreSQL's upper does: "ß" stays one letter."""
    if value is None or value.isascii():
        return value  # LIKE folds these
    return "".join(upper if len(upper := letter.upper()) == 1 else letter for letter in value)


def use_folding() -> None:
    """Let lookups without regard to case fold all letters in SQLite."""
    for field in (CharField, TextField):
        for lookup in (FoldingContains, FoldingStartsWith, FoldingExact):
            field.register_lookup(lookup)


class _Folding:
    """A lookup that folds both sides in SQLite, where what is looked for has letters beyond ASCII."""

    def as_sqlite(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        """Compose SQL for SQLite."""
        sql, params = super().as_sql(compiler, connection)  # type: ignore[misc]
        if not isinstance(self.rhs, str) or self.rhs.isascii():  # type: ignore[attr-defined]
            return sql, params
        left, _ = super().process_lhs(compiler, connection)  # type: ignore[misc]
        return sql.replace(left, f"canopy_fold({left})", 1), (*params[:-1], fold(params[-1]))


class FoldingContains(_Folding, IContains):
    """`icontains`."""


class FoldingStartsWith(_Folding, IStartsWith):
    """`istartswith`."""


class FoldingExact(_Folding, IExact):
    """`iexact`."""
