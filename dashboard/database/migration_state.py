"""Whether the database has the tables of this release."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import lru_cache

from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from orchestration.errors.texts import first_line
from orchestration.startup import CannotStart

log = logging.getLogger(__name__)

NAMES_SHOWN = 3


class NotMigrated(CannotStart):
    """The database lacks tables or columns of this release; the message says what to run."""


def missing_migrations() -> Sequence[str]:
    """Return the migrations of this release that the database has not had, such as `dashboard.0001_initial`.

    Those that replace others count as applied where all of these are. Raises DatabaseError.
    """
    applied = set(_applied())
    return [
        f"{app}.{name}"
        for (app, name), replaced in sorted(_own_migrations().items())
        if (app, name) not in applied and not (replaced and replaced <= applied)
    ]


def unknown_migrations() -> Sequence[str]:
    """Return what the database has had of a later release, of Canopy's own app. Raises DatabaseError."""
    own = _own_migrations()
    known = set(own) | {each for replaced in own.values() for each in replaced}
    return [f"{app}.{name}" for app, name in sorted(_applied()) if app == "dashboard" and (app, name) not in known]


def require_migrated() -> None:
    """Raise NotMigrated unless the database has the tables of this release; DatabaseError where it cannot be asked."""
    if missing := missing_migrations():
        shown = ", ".join(missing[:NAMES_SHOWN]) + (
            f" and {more} more" if (more := len(missing) - NAMES_SHOWN) > 0 else ""
        )
        raise NotMigrated(f"The database is not migrated: it lacks {shown}. Run `canopy migrate`.")


def say_what_is_missing() -> None:
    """Log whether the database lacks tables of this release: whoever starts a process before them finds out why."""
    try:
        require_migrated()
    except NotMigrated as error:
        log.error("%s", error)
    except DatabaseError as error:
        log.warning("Whether the database is migrated cannot be asked: %s", first_line(error))


def _applied() -> list[tuple[str, str]]:
    return list(MigrationRecorder(connections[DEFAULT_DB_ALIAS]).applied_migrations())


@lru_cache(maxsize=1)
def _own_migrations() -> dict[tuple[str, str], frozenset[tuple[str, str]]]:
    """Return the migrations of all apps with those that each of them replaces."""
    found = MigrationLoader(None, ignore_no_migrations=True)
    return {key: frozenset(migration.replaces) for key, migration in found.disk_migrations.items()}
