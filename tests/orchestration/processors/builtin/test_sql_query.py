"""sql_query: on a real SQLite and a real PostgreSQL; a read-only connection cannot write by any of several ways."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import ValidationError
from sqlalchemy.pool import QueuePool

from orchestration.processors import secrets
from orchestration.processors.builtin.sql_query import sql_query
from orchestration.processors.catalogue import load
from orchestration.processors.data.databases import connection_url, pooled_engine
from orchestration.testing import Outcome, process_items
from tests.support.servers import postgres
from tests.support.waiting import until

TABLE = ["CREATE TABLE goods (id integer PRIMARY KEY, name text)", "INSERT INTO goods VALUES (1, 'tea'), (2, 'rum')"]


@pytest.fixture(scope="module")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with postgres(tmp_path_factory.mktemp("databases")) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in TABLE:
                connection.execute(statement)
        yield url.replace("canopy@", "canopy:s3cr3t-of-the-shop@")


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
        url = request.getfixturevalue("postgresql")
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
        "SELECT set_config('transaction_read_only', 'off', false)",
        "WITH gone AS (DELETE FROM goods RETURNING id) SELECT * FROM gone",
        "COPY goods TO '{folder}/copied'; DELETE FROM goods",
    ],
}


async def test_a_connection_is_read_only_unless_the_installation_says_otherwise(shop: str, tmp_path: Path) -> None:
    folder = tmp_path / "written"
    folder.mkdir()
    for statement in [*WRITES, *WRITES_OF[shop]]:
        (refused,) = await ask(statement.replace("{folder}", str(folder)))
        if statement != "COMMIT":
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
