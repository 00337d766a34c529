"""Sessions of databases: what a connection may do whatever a statement says; none inherits another's state."""

from __future__ import annotations

import itertools
import logging
import sqlite3
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Engine, event, text

from orchestration.processors.data.connections import InvalidStatement, RoleTooPowerful

log = logging.getLogger(__name__)

READ_ACTIONS = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
    sqlite3.SQLITE_TRANSACTION,
}
"""Authorizer actions of a read-only connection. PRAGMA and ATTACH are denied, since they could enable writes."""

REFUSED_SQLITE_FUNCTIONS = ("load_extension", "fts3_tokenizer")
REFUSED_PRAGMAS = ("writable_schema", "temp_store_directory", "data_store_directory", "trusted_schema")

ROLE_RIGHTS = """
    SELECT rolname, right_name FROM pg_catalog.pg_roles, LATERAL (VALUES
        ('is a superuser', rolsuper),
        ('may read files of the server', pg_catalog.pg_has_role(oid, 'pg_read_server_files', 'MEMBER')
            OR pg_catalog.has_function_privilege(oid, 'pg_catalog.pg_read_file(text)', 'EXECUTE')
            OR pg_catalog.has_function_privilege(oid, 'pg_catalog.lo_import(text)', 'EXECUTE')),
        ('may write files of the server', pg_catalog.pg_has_role(oid, 'pg_write_server_files', 'MEMBER')
            OR pg_catalog.has_function_privilege(oid, 'pg_catalog.lo_export(oid, text)', 'EXECUTE')),
        ('may run programs on the server', pg_catalog.pg_has_role(oid, 'pg_execute_server_program', 'MEMBER'))
    ) AS rights (right_name, has_it)
    WHERE has_it AND rolname IN (session_user, current_user)
"""
"""Rights by which a role gets around a read-only transaction. A superuser has all of them."""

CHANGING_FUNCTIONS = text("""
    SELECT proname FROM pg_catalog.pg_proc
    WHERE proname = ANY(:names) AND provolatile = 'v' AND (
        pronamespace = 'pg_catalog'::pg_catalog.regnamespace
        OR EXISTS (
            SELECT FROM pg_catalog.pg_depend
            WHERE classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND objid = pg_proc.oid AND deptype = 'e'
        )
    )
""")
"""Which functions of the server or of an extension may have side effects. Those of the installation are its own."""

HARMLESS_FUNCTIONS = {
    *("random", "random_normal", "clock_timestamp", "timeofday", "gen_random_uuid", "gen_random_bytes", "gen_salt"),
    *("uuidv4", "uuidv7", "uuid_generate_v1", "uuid_generate_v1mc", "uuid_generate_v4", "pg_sleep", "pg_sleep_for"),
    *("pg_sleep_until", "pg_relation_size", "pg_table_size", "pg_indexes_size", "pg_total_relation_size"),
    *("pg_database_size", "pg_tablespace_size", "currval", "lastval", "pg_is_in_recovery", "txid_status"),
    *("pg_last_wal_receive_lsn", "pg_last_wal_replay_lsn", "pg_last_xact_replay_timestamp", "pg_xact_status"),
    *("pg_current_wal_lsn", "pg_current_wal_insert_lsn", "pg_blocking_pids", "pgp_sym_encrypt", "pgp_pub_encrypt"),
}
"""Volatile functions that only return something."""

_numbers = itertools.count()
_KNOWN = "canopy_harmless_functions"


def guard_postgresql(engine: Engine, *, writable: bool) -> None:
    """Have each transaction begin as READ ONLY unless `writable`, and drop a session's state after each use.

    A role that gets around a read-only transaction is refused with RoleTooPowerful; where writing is allowed, it is
    logged.
    """

    def connected(connection: Any, record: object) -> None:
        found = connection.execute(ROLE_RIGHTS).fetchall()
        connection.rollback()
        if found:
            role, rights = found[0][0], ", ".join(right for _, right in found)
            if not writable:
                connection.close()
                raise RoleTooPowerful(
                    f"The role {role} {rights}, which read-only transactions do not prevent. Use a role that may "
                    "only read what the connection is for."
                )
            log.warning(
                "The role %s of the database %s %s: whoever may launch has these rights.",
                role,
                engine.url.database,
                rights,
            )
        connection.read_only = not writable

    def returned(connection: Any, record: object, state: object) -> None:
        connection.rollback()
        connection.autocommit = True
        # Never the same text twice: psycopg forgets what it has prepared only after a statement that is new to it.
        connection.execute(f"DISCARD ALL -- {next(_numbers)}", prepare=False)
        connection.autocommit = False

    event.listen(engine, "connect", connected)
    event.listen(engine, "reset", returned)


def refuse_side_effects(connection: Connection, functions: Iterable[str]) -> None:
    """Raise InvalidStatement if the server has one of the functions as one that may do more than return something."""
    known: set[str] = connection.info.setdefault(_KNOWN, set())
    unknown = set(functions) - known - HARMLESS_FUNCTIONS
    if not unknown:
        return
    found = sorted(connection.execute(CHANGING_FUNCTIONS, {"names": sorted(unknown)}).scalars())
    if found:
        raise InvalidStatement(f"A read-only connection does not run {found[0]}().")
    known |= unknown


def guard_sqlite(connection: sqlite3.Connection, *, writable: bool) -> None:
    """Keep a connection to its own file, and unless `writable` from changing it."""

    def decide(action: int, first: str | None, second: str | None, database: str | None, trigger: str | None) -> int:
        if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in REFUSED_SQLITE_FUNCTIONS:
            return sqlite3.SQLITE_DENY
        if not writable:
            return sqlite3.SQLITE_OK if action in READ_ACTIONS else sqlite3.SQLITE_DENY
        attaches = action == sqlite3.SQLITE_ATTACH and bool(first)  # VACUUM attaches a file without a name
        is_refused = action == sqlite3.SQLITE_PRAGMA and (first or "").lower() in REFUSED_PRAGMAS
        return sqlite3.SQLITE_DENY if attaches or is_refused else sqlite3.SQLITE_OK

    if not writable:
        connection.execute("PRAGMA query_only = ON")
    connection.set_authorizer(decide)
