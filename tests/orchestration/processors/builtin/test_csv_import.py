"""csv_import: column schemas, upserts and rollbacks, on a real SQLite and a real PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import ValidationError

from orchestration.processors.builtin.csv_import import undo_upsert, upsert_rows, validate_rows
from orchestration.processors.catalogue import load
from orchestration.processors.data import import_tables
from orchestration.processors.data.import_parameters import ImportParameters
from orchestration.processors.data.json_values import as_json
from orchestration.processors.data.row_schema import Column, parse_columns, read_row
from orchestration.processors.processor import ItemContext
from orchestration.processors.templating import Fields
from orchestration.testing import process_items
from tests.support.servers import postgres

TABLE = (
    "CREATE TABLE people (id integer PRIMARY KEY, email text UNIQUE, amount numeric(10, 2), born date, "
    "active boolean, seen timestamp, country text NOT NULL DEFAULT 'DE')"
)
COLUMNS = {
    "id": "integer",
    "email": "text, required, unique, to 40, pattern .+@.+",
    "amount": "decimal, from 0 to 10000",
    "born": "date, from 1900-01-01",
    "active": "boolean",
    "seen": "datetime",
}
GOOD = {"id": "1", "email": "ann@example.org", "amount": "10.50", "born": "1980-02-29", "active": "yes", "seen": ""}


@pytest.mark.parametrize(
    ("definition", "value", "reason"),
    [
        ("integer", "1.5", "'1.5' is not a whole number"),
        ("integer", "99999999999999999999", "is not a whole number"),
        ("decimal", "NaN", "'NaN' is not a number"),
        ("decimal, from 0 to 10", "10.01", "10.01 is more than 10"),
        ("decimal, from 0", "-0.5", "-0.5 is less than 0"),
        ("date", "30.2.2026", "is not a date such as"),
        ("datetime, from 2026-01-01T00:00:00+00:00", "2026-05-01T00:00:00", "must have an offset"),
        ("boolean", "perhaps", "'perhaps' is not yes or no"),
        ("text, from 2", "x", "a length of 1 is less than 2"),
        ("text, pattern [A-Z]{2},?", "abc", "does not match [A-Z]{2},?"),
        ("required", " ", "is missing"),
    ],
)
def test_a_column_rejects_an_invalid_value_with_the_reason(definition: str, value: str, reason: str) -> None:
    row, reasons = read_row([Column.parse("x", definition)], {"x": value})
    assert row == {}
    assert reason in reasons[0]


def test_a_row_is_the_same_when_read_again_from_its_json() -> None:
    columns = parse_columns(COLUMNS | {"note": ""})
    row, reasons = read_row(columns, GOOD | {"seen": "2026-11-21T03:00:00", "unnamed": "left out"})
    assert reasons == []
    assert list(row) == [*COLUMNS, "note"]
    again, _ = read_row(columns, json.loads(json.dumps({name: as_json(value) for name, value in row.items()})))
    assert again == row


@pytest.mark.parametrize(
    ("columns", "key", "reason"),
    [
        ({"id": "number"}, "id", "unknown option 'number'"),
        ({"id": "integer, from one"}, "id", "'one' is not valid in the range of a integer"),
        ({"id": "pattern ("}, "id", "invalid pattern"),
        ({"id": "pattern (?=a)a"}, "id", "look-ahead"),
        ({"id": ""}, "key", "not key"),
        ({"id": ""}, " , ", "not nothing"),
    ],
)
def test_an_invalid_schema_is_rejected_in_the_form(columns: dict[str, str], key: str, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason.replace("(", r"\(")):
        ImportParameters(connection="STORE", table="people", columns=columns, key=key)


@pytest.fixture(scope="module")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with postgres(tmp_path_factory.mktemp("imports")) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A writable connection STORE with the table; returns a function that runs a statement on it."""
    load()
    import_tables.create_tables.cache_clear()
    if request.param == "sqlite":
        path = tmp_path / "store.sqlite3"
        url = f"sqlite:///{path}"

        def ask(statement: str) -> list[Any]:
            with sqlite3.connect(path) as connection:
                return connection.execute(statement).fetchall()

    else:
        url = request.getfixturevalue("postgresql")

        def ask(statement: str) -> list[Any]:
            with psycopg.connect(url, autocommit=True) as connection:
                cursor = connection.execute(statement)
                return cursor.fetchall() if cursor.description else []

        ask("DROP TABLE IF EXISTS people, canopy_imports, canopy_import_values")
    ask(TABLE)
    monkeypatch.setenv("CANOPY_CONNECTION_STORE", url)
    monkeypatch.setenv("CANOPY_CONNECTION_STORE_WRITABLE", "1")
    return ask


PARAMETERS = {"connection": "STORE", "table": "people", "columns": COLUMNS, "key": "id"}


async def test_a_duplicate_in_a_unique_column_is_rejected_in_every_attempt(store: Any) -> None:
    rows = [GOOD, GOOD | {"id": "2"}, GOOD | {"id": "x", "email": "bob@example.org"}, {"id": "3", "email": "none"}]
    for _ in range(2):
        first, same, worse, none = await process_items(validate_rows, rows, PARAMETERS)
        assert first.result == {"id": 1, "email": "ann@example.org", "amount": "10.50"} | {
            "born": "1980-02-29",
            "active": True,
            "seen": None,
        }
        assert (same.error_type, same.error) == ("RejectedRow", "email: ann@example.org is already used by item 1")
        assert worse.error == "id: 'x' is not a whole number"
        assert none.error == "email: 'none' does not match .+@.+"
        assert worse.attempts == 1, "another attempt would not change it"


async def test_rows_are_inserted_or_updated_and_a_rejected_one_does_not_affect_the_others(store: Any) -> None:
    store("INSERT INTO people (id, email, country) VALUES (2, 'old@example.org', 'FR'), (9, 'bob@example.org', 'FR')")
    changed: dict[str, Any] = {"id": 2, "email": "new@example.org", "amount": "7"}
    rows = [GOOD, changed, {"id": 3, "email": "bob@example.org"}]
    inserted, updated, refused = await process_items(upsert_rows, rows, PARAMETERS, item_attempts=1)
    assert (inserted.result["action"], updated.result["action"]) == ("inserted", "updated")
    assert refused.error_type == "InvalidStatement"
    assert "unique" in refused.error.casefold()
    assert [tuple(map(str, row)) for row in store("SELECT id, email, country FROM people ORDER BY id")] == [
        ("1", "ann@example.org", "DE"),
        ("2", "new@example.org", "FR"),
        ("9", "bob@example.org", "FR"),
    ]
    born = store("SELECT born, amount FROM people WHERE id = 1")[0]
    assert str(born[0]) == "1980-02-29"
    assert float(born[1]) == 10.5


async def test_a_rollback_deletes_inserted_rows_and_restores_updated_ones_even_after_a_second_attempt(
    store: Any,
) -> None:
    store("INSERT INTO people (id, email, amount, country) VALUES (2, 'old@example.org', 1.25, 'FR')")
    before = store("SELECT * FROM people ORDER BY id")
    parameters = ImportParameters.model_validate(PARAMETERS)
    rows = [Fields.model_validate(GOOD), Fields.model_validate({"id": 2, "email": "new@example.org"})]
    contexts = [ItemContext(str(index), index, 1, batch="b") for index in range(2)]
    first = await asyncio.to_thread(upsert_rows, rows, parameters, contexts)
    again = await asyncio.to_thread(upsert_rows, rows, parameters, contexts)
    assert [each.action for each in first] == [each.action for each in again] == ["inserted", "updated"]
    assert len(store("SELECT id FROM people")) == 2
    for _ in range(2):
        for row, context in zip(rows, contexts, strict=True):
            await undo_upsert(row, parameters, None, context)
        assert store("SELECT * FROM people ORDER BY id") == before
    assert store("SELECT * FROM canopy_imports") == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"table": "nowhere"}, "There is no table nowhere"),
        ({"columns": COLUMNS | {"odd": "text"}}, "people has no column odd"),
        ({"key": "born"}, "no primary key or unique index over born"),
    ],
)
async def test_an_unsuitable_table_fails_the_rows_without_a_retry(
    store: Any, change: dict[str, Any], reason: str
) -> None:
    (row,) = await process_items(upsert_rows, [GOOD], PARAMETERS | change)
    assert (row.error_type, row.attempts) == ("InvalidTable", 1)
    assert reason in row.error


async def test_canopys_own_tables_exist_even_if_the_first_import_failed(store: Any) -> None:
    (lost,) = await process_items(upsert_rows, [GOOD], PARAMETERS | {"table": "nowhere"})
    assert lost.error_type == "InvalidTable"
    (row,) = await process_items(upsert_rows, [GOOD], PARAMETERS)
    assert (row.error, row.result["action"]) == ("", "inserted")


async def test_a_read_only_connection_rejects_rows(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CANOPY_CONNECTION_STORE_WRITABLE")
    (row,) = await process_items(upsert_rows, [GOOD], PARAMETERS)
    assert row.error_type == "ConnectionMissing"
    assert "is read-only" in row.error
