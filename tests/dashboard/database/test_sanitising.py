"""What a database cannot take is known as the fault of the value, not of the server."""

from __future__ import annotations

import sqlite3

import pytest
from django.db import OperationalError
from psycopg.errors import AdminShutdown, ProgramLimitExceeded, StatementTooComplex

from dashboard.database.sanitising import is_unstorable


def raised_from(cause: Exception) -> OperationalError:
    error = OperationalError(str(cause))
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("cause", "is_the_value"),
    [
        (ProgramLimitExceeded("index row size 4016 exceeds btree version 4 maximum 2704"), True),
        (StatementTooComplex("stack depth limit exceeded"), True),
        (AdminShutdown("terminating connection: the value is too big"), False),
    ],
)
def test_limits_of_postgresql_are_told_from_outages(cause: Exception, is_the_value: bool) -> None:
    assert is_unstorable(raised_from(cause)) is is_the_value


def test_limits_of_sqlite_are_told_from_outages() -> None:
    with pytest.raises(sqlite3.OperationalError) as refused:
        sqlite3.connect(":memory:").execute("SELECT 1 WHERE 'a' LIKE ?", ["%" * 60_000])
    assert is_unstorable(raised_from(refused.value))
    assert not is_unstorable(raised_from(sqlite3.OperationalError("database is locked")))
