"""The database: whether it answers, has the tables of this release, and tells the same time."""

from __future__ import annotations

import time
from collections.abc import Iterator

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections

from dashboard.database.migration_state import NAMES_SHOWN, missing_migrations, unknown_migrations
from dashboard.database.watched_connection import leads_to_pooler
from dashboard.preflight.clocks import clock_finding
from dashboard.preflight.findings import Finding, fail, ok, warn
from orchestration.errors.texts import first_line

OLDEST_POSTGRESQL = 14
"""The oldest major version that Django 5.2 supports."""


def database_findings() -> Iterator[Finding]:
    """Yield what there is to say about the database; about its tables only where it answers."""
    connection = connections[DEFAULT_DB_ALIAS]
    connection.settings_dict.get("OPTIONS", {}).pop("pool", None)  # it hides why a database is unreachable
    try:
        connection.ensure_connection()
        yield _version()
        yield _migrations()
        if connection.vendor == "postgresql":
            yield _clock()
    except DatabaseError as error:
        yield fail("database", f"{_place()} cannot be used: {first_line(error)}", "Check DATABASE_URL and the server.")
    finally:
        connection.close()


def _place() -> str:
    """Return where the database is, without its password."""
    given = settings.DATABASES[DEFAULT_DB_ALIAS]
    if connections[DEFAULT_DB_ALIAS].vendor == "sqlite":
        return f"SQLite in {given['NAME']}"
    host = f"[{given['HOST']}]" if ":" in given["HOST"] else given["HOST"] or "localhost"
    return f"PostgreSQL at {host}:{given['PORT'] or 5432}/{given['NAME']}"


def _version() -> Finding:
    connection = connections[DEFAULT_DB_ALIAS]
    if connection.vendor != "postgresql":
        return ok("database", f"{_place()} answers.")
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        version = str(cursor.fetchone()[0]).split()[0]
    if int(version.partition(".")[0]) < OLDEST_POSTGRESQL:
        return fail("database", f"{_place()} is version {version}.", f"Use {OLDEST_POSTGRESQL} or newer.")
    through = " through a connection pooler" if leads_to_pooler(connection.connection) else ""
    return ok("database", f"{_place()} answers{through} (version {version}).")


def _migrations() -> Finding:
    if missing := missing_migrations():
        shown = ", ".join(missing[:NAMES_SHOWN]) + (", …" if missing[NAMES_SHOWN:] else "")
        return fail("migrations", f"{len(missing)} to apply: {shown}.", "Run `canopy migrate`.")
    if unknown := unknown_migrations():
        message = f"The database is of a later release: {', '.join(unknown[:NAMES_SHOWN])}."
        return warn("migrations", message, "Install that release, or restore a backup of this one.")
    return ok("migrations", "All are applied.")


def _clock() -> Finding:
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        began = time.time()
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
        theirs, ended = float(cursor.fetchone()[0]), time.time()
    return clock_finding("the database", theirs - (began + ended) / 2, (ended - began) / 2)
