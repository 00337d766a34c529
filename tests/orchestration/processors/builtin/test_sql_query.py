"""sql_query: on a real SQLite and a real PostgreSQL; a read-only connection cannot write by any of several ways."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from pydantic import ValidationError
from sqlalchemy.pool import QueuePool

from orchestration.processors import secrets
from orchestration.processors.builtin.sql_query import sql_query
from orchestration.processors.catalogue import load
from orchestration.processors.data import databases, statements
from orchestration.processors.data.databases import connection_url, pooled_engine
from orchestration.testing import Outcome, process_items
from tests.support.servers import postgres
from tests.support.waiting import until

TABLE = ["CREATE TABLE goods (id integer PRIMARY KEY, name text)", "INSERT INTO goods VALUES (1, 'tea'), (2, 'rum')"]

ROLES = [
    "CREATE ROLE clerk LOGIN",
    "GRANT ALL ON goods TO clerk",
    "GRANT CREATE ON SCHEMA public TO clerk",
    "CREATE ROLE archivist LOGIN IN ROLE pg_read_server_files",
    "CREATE ROLE scribe LOGIN IN ROLE pg_write_server_files",
    "CREATE ROLE runner LOGIN IN ROLE pg_execute_server_program",
    "CREATE EXTENSION dblink",
]


@pytest.fixture(scope="module")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with postgres(tmp_path_factory.mktemp("databases")) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in [*TABLE, *ROLES]:
                connection.execute(statement)
        yield url


def as_role(url: str, role: str) -> str:
    """Return a database's URL with another role, and a password that no error may contain."""
    return url.replace("canopy@", f"{role}:s3cr3t-of-the-shop@")


@pytest.fixture(params=["sqlite", "postgresql"])
def shop(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Two connections to one database, SHOP and the writable STORE; returns the kind of database."""
    load()
    monkeypatch.setattr(secrets, "_revealed", set())
    kind: str = request.param
    if kind == "sqlite":
        path = tmp_path / "shop.sqlite3"
        with sqlite3.connect(path) as connection:
            for statement in TABLE:
                connection.execute(statement)
        url = f"sqlite:///{path}"
    else:
        url = as_role(request.getfixturevalue("postgresql"), "clerk")
    for name in ("SHOP", "STORE"):
        monkeypatch.setenv(f"CANOPY_CONNECTION_{name}", url)
    monkeypatch.setenv("CANOPY_CONNECTION_STORE_WRITABLE", "1")
    return kind


async def ask(statement: str, *items: dict[str, Any], connection: str = "SHOP", **given: Any) -> list[Outcome]:
    parameters = {"connection": connection, "statement": statement, **given}
    return await process_items(sql_query, items or [{}], parameters, item_attempts=1)


async def test_fields_are_bound_parameters(shop: str) -> None:
    injection = "tea' OR '1'='1"
    found, none, missing = await ask(
        "SELECT id, name FROM goods WHERE name = :name", {"name": "tea"}, {"name": injection}, {"other": 1}
    )
    assert (found.result["row_count"], found.result["rows"]) == (1, [{"id": 1, "name": "tea"}])
    assert none.result["row_count"] == 0
    assert missing.error_type == "InvalidStatement"
    assert "name" in missing.error
    (few,) = await ask("SELECT id FROM goods ORDER BY id", rows_kept=1)
    assert (few.result["row_count"], few.result["rows"]) == (2, [{"id": 1}])


WRITES = [
    "DELETE FROM goods",
    "INSERT INTO goods VALUES (:index + 10, 'x')",
    "CREATE TABLE more (id integer)",
    "SELECT 1; DELETE FROM goods",
    "COMMIT",
]
WRITES_OF = {
    "sqlite": [
        "PRAGMA query_only = OFF",
        "ATTACH DATABASE '{folder}/attached.sqlite3' AS other",
        "SELECT load_extension('x')",
        "VACUUM INTO '{folder}/vacuumed.sqlite3'",
    ],
    "postgresql": [
        "SET TRANSACTION READ WRITE",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
        "SELECT set_config('transaction_read_only', 'off', false)",
        "SELECT set_config('default_transaction_read_only', 'off', false)",
        "SELECT SETSEED(0.5), dblink_connect('dbname=postgres'), pg_advisory_lock(7)",
        "SELECT pg_create_logical_replication_slot('x', 'y')",
        "WITH gone AS (DELETE FROM goods RETURNING id) SELECT * FROM gone",
        "COPY goods TO '{folder}/copied'; DELETE FROM goods",
        "DO $$ BEGIN DELETE FROM goods; END $$",
        "PREPARE gone AS DELETE FROM goods",
    ],
}


async def test_a_connection_is_read_only_unless_the_installation_says_otherwise(shop: str, tmp_path: Path) -> None:
    folder = tmp_path / "written"
    folder.mkdir()
    for statement in [*WRITES, *WRITES_OF[shop]]:
        (refused,) = await ask(statement.replace("{folder}", str(folder)))
        assert refused.error_type == "InvalidStatement", (statement, refused)
    (after,) = await ask("DELETE FROM goods")
    assert after.error_type == "InvalidStatement"
    (left,) = await ask("SELECT count(*) AS number FROM goods")
    assert left.result["rows"] == [{"number": 2}]
    assert list(folder.iterdir()) == []
    (written,) = await ask("INSERT INTO goods VALUES (77, :name)", {"name": "salt"}, connection="STORE")
    assert written.result["row_count"] == 1
    (gone,) = await ask("DELETE FROM goods WHERE id = 77", connection="STORE")
    assert gone.result["row_count"] == 1


@pytest.mark.parametrize("setting", ["SELECT set_config('default_transaction_read_only', 'off', false)", None])
async def test_the_server_itself_keeps_a_connection_read_only(
    postgresql: str, monkeypatch: pytest.MonkeyPatch, setting: str | None
) -> None:
    """Whatever the parser may overlook: what one item has set is gone for the next, and writing is refused."""
    load()
    monkeypatch.setattr(databases, "check_reads", lambda *given: frozenset())  # forces the fault
    monkeypatch.setenv("CANOPY_CONNECTION_SHOP", as_role(postgresql, "clerk"))
    if setting is None:
        (locked,) = await ask("SELECT pg_advisory_lock(7)")
        assert locked.error == ""
        (left,) = await ask("SELECT count(*) AS number FROM pg_locks WHERE locktype = 'advisory'")
        assert left.result["rows"] == [{"number": 0}]
        return
    for attack in (setting, "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE"):
        outcomes = [(await ask(attack))[0], (await ask("DELETE FROM goods"))[0]]
        assert [each.error_type for each in outcomes] == ["", "InvalidStatement"]
        assert "read-only transaction" in outcomes[1].error
    (left,) = await ask("SELECT count(*) AS number FROM goods")
    assert left.result["rows"] == [{"number": 2}]


async def test_the_server_is_asked_which_functions_have_side_effects(
    postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    load()
    monkeypatch.setattr(statements, "REFUSED_PREFIXES", ())
    monkeypatch.setattr(statements, "REFUSED_FUNCTIONS", frozenset())
    monkeypatch.setenv("CANOPY_CONNECTION_SHOP", as_role(postgresql, "clerk"))
    statements.check_reads.cache_clear()
    for call in ("pg_advisory_lock(7)", "dblink_connect('dbname=postgres')", "pg_stat_reset()", "setseed(0)"):
        (refused,) = await ask(f"SELECT {call}")
        assert refused.error == f"A read-only connection does not run {call.partition('(')[0]}()."
    statements.check_reads.cache_clear()
    (harmless,) = await ask("SELECT random() < 1 AS less, lower('A'), count(*) FROM goods GROUP BY 1, 2")
    assert harmless.error == ""


@pytest.mark.parametrize("role", ["canopy", "archivist", "scribe", "runner"])
async def test_a_role_that_gets_around_read_only_is_refused_and_flagged_where_writing_is_allowed(
    postgresql: str, role: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    load()
    for name in ("SHOP", "STORE"):
        monkeypatch.setenv(f"CANOPY_CONNECTION_{name}", as_role(postgresql, role))
    monkeypatch.setenv("CANOPY_CONNECTION_STORE_WRITABLE", "1")
    (refused,) = await ask("SELECT 1")
    assert (refused.error_type, refused.attempts) == ("RoleTooPowerful", 1)
    assert f"The role {role} " in refused.error
    databases.examine_connections()
    assert f"Connection SHOP is refused: The role {role} " in caplog.text
    assert f"The role {role} of the database postgres" in caplog.text
    (allowed,) = await ask("SELECT 1 AS one", connection="STORE")
    assert allowed.error == ""
    assert "s3cr3t" not in caplog.text


async def test_a_writable_connection_stays_within_its_database_and_hands_on_no_state(shop: str, tmp_path: Path) -> None:
    if shop == "sqlite":
        for statement in ("ATTACH '{}' AS x", "VACUUM INTO '{}'", "PRAGMA writable_schema = ON"):
            (refused,) = await ask(statement.replace("{}", f"{tmp_path}/other.sqlite3"), connection="STORE")
            assert refused.error_type == "InvalidStatement", statement
        assert not (tmp_path / "other.sqlite3").exists()
        return
    (given,) = await ask("SET search_path = nowhere", connection="STORE")
    assert given.error == ""
    (left,) = await ask("SHOW search_path", connection="STORE")
    assert left.result["rows"] == [{"search_path": '"$user", public'}]


async def test_a_rejected_statement_is_not_retried_and_its_error_has_no_password(shop: str) -> None:
    (wrong,) = await ask("this is no SQL")
    assert (wrong.error_type, wrong.attempts) == ("InvalidStatement", 1)
    (twice,) = await ask("INSERT INTO goods VALUES (1, 'again')", connection="STORE")
    assert twice.error_type == "InvalidStatement"
    assert "s3cr3t" not in f"{wrong}{twice}"


async def test_a_statement_ends_after_its_time_limit_and_when_it_is_canceled(shop: str) -> None:
    endless = (
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
        if shop == "sqlite"
        else "SELECT pg_sleep(300)"
    )
    (late,) = await ask(endless, timeout=0.5)
    assert late.error_type == "DatabaseFailed"
    started = time.monotonic()
    running = asyncio.create_task(ask(endless, timeout=300))

    async def is_checked_out() -> bool:
        pool = pooled_engine(connection_url("SHOP"), writable=False).pool
        return isinstance(pool, QueuePool) and pool.checkedout() > 0

    await until(is_checked_out, "a connection has the statement")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    (after,) = await ask("SELECT 1 AS one")
    assert after.result["rows"] == [{"one": 1}]
    assert time.monotonic() - started < 120


async def test_values_become_json(shop: str) -> None:
    if shop == "sqlite":
        (outcome,) = await ask("SELECT x'00ff' AS raw, 1.5 AS real, NULL AS empty")
        assert outcome.result["rows"] == [{"raw": "AP8=", "real": 1.5, "empty": None}]
        return
    (outcome,) = await ask(
        "SELECT now() > '2020-01-01' AS past, DATE '2026-01-02' AS day, 1.50::numeric AS price, "
        "ARRAY[DATE '2026-01-02'] AS days, '{\"a\": 1}'::jsonb AS data, '\\x00ff'::bytea AS raw"
    )
    assert outcome.result["rows"] == [
        {"past": True, "day": "2026-01-02", "price": "1.50", "days": ["2026-01-02"], "data": {"a": 1}, "raw": "AP8="}
    ]


async def test_a_missing_or_invalid_connection_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    load()
    (missing,) = await ask("SELECT 1", connection="NOWHERE")
    assert missing.error == ("There is no connection NOWHERE: CANOPY_CONNECTION_NOWHERE is not set on this worker.")
    monkeypatch.setenv("CANOPY_CONNECTION_ODD", "mysql://user:geheim@host/x")
    (odd,) = await ask("SELECT 1", connection="ODD")
    assert odd.error == "CANOPY_CONNECTION_ODD is not a PostgreSQL or SQLite URL."
    monkeypatch.setenv("CANOPY_CONNECTION_AWAY", "postgres://user:geheim@127.0.0.1:1/x")
    (away,) = await ask("SELECT 1", connection="AWAY")
    assert away.error_type == "DatabaseFailed"
    assert "geheim" not in away.error
    with pytest.raises(ValidationError, match="Enter the name of a connection"):
        await ask("SELECT 1", connection="postgres://user:geheim@host/x")


MANY = {
    "postgresql": "SELECT repeat('x', 1000) AS text FROM generate_series(1, 200000)",
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) "
    "SELECT printf('%.1000c', 'x') AS text FROM n",
}


@pytest.mark.parametrize("connection", ["SHOP", "STORE"])
async def test_rows_are_fetched_in_portions_and_counted(shop: str, connection: str) -> None:
    memory = psutil.Process().memory_info
    before = memory().rss
    (outcome,) = await ask(MANY[shop], connection=connection, rows_kept=2, timeout=600)
    assert memory().rss - before < 100 * 1024 * 1024  # all of them have 200 MB
    assert (outcome.error, outcome.result["row_count"]) == ("", 200_000)
    assert [len(row["text"]) for row in outcome.result["rows"]] == [1_000, 1_000]


async def test_the_time_limit_holds_for_all_portions_together(shop: str) -> None:
    (outcome,) = await ask(MANY[shop], rows_kept=0, timeout=0.01)
    assert outcome.error_type == "DatabaseFailed"


async def test_a_statement_that_is_no_query_returns_its_rows_too(shop: str) -> None:
    (outcome,) = await ask("INSERT INTO goods VALUES (900, 'mead') RETURNING id", connection="STORE")
    assert (outcome.error, outcome.result["rows"]) == ("", [{"id": 900}])
    (outcome,) = await ask("DELETE FROM goods WHERE id = 900", connection="STORE")
    assert outcome.result["row_count"] == 1
