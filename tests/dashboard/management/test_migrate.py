"""Migrations: by one process, however many start at once, and what starts before them says so."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import environ
import pytest
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import ConnectionHandler
from pytest_django import DjangoDbBlocker

from dashboard.database.one_process import one_process
from dashboard.management.commands.migrate import WAITING
from tests.support.servers import postgres
from tests.support.stack import Process
from tests.support.waiting import wait_until

CANOPY = [sys.executable, "-m", "dashboard.cli"]


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without a table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.sqlite3'}"
    else:
        with postgres(tmp_path) as url:
            yield url


def connection_to(url: str) -> BaseDatabaseWrapper:
    """Return a connection of the test's own."""
    return ConnectionHandler({"default": environ.Env.db_url_config(url)})["default"]


def test_of_two_that_migrate_at_once_one_does_and_the_other_waits(
    empty_database: str, tmp_path: Path, django_db_blocker: DjangoDbBlocker
) -> None:
    env = {**os.environ, "DATABASE_URL": empty_database}
    at_once = [
        Process(command, tmp_path / f"{number}.log", {**env, "CANOPY_HOME": str(tmp_path / f"home-{number}")})
        for number, command in enumerate([[*CANOPY, "migrate"], [sys.executable, "manage.py", "migrate"]])
    ]
    own = connection_to(empty_database)
    try:
        with django_db_blocker.unblock(), one_process(own, "migrate", lambda: None):
            for each in at_once:
                each.start()
            wait_until(
                lambda: all(WAITING in each.output for each in at_once), lambda: f"all wait: {at_once[0].output}"
            )
            assert all(each.is_running for each in at_once)
        assert [each.ended_with() for each in at_once] == [0, 0], [each.output for each in at_once]
    finally:
        own.close()
        for each in at_once:
            each.stop()


def test_what_starts_on_a_database_that_is_not_migrated_says_what_to_do(tmp_path: Path) -> None:
    env = {**os.environ, "DATABASE_URL": f"sqlite:///{tmp_path / 'empty.sqlite3'}", "CANOPY_HOME": str(tmp_path)}
    check, web = (
        Process([*CANOPY, *command], tmp_path / f"{command[0]}.log", env)
        for command in (("migrate", "--check"), ("web", "--port", "0"))
    )
    try:
        for each in (check, web):
            each.start()
        assert [check.ended_with(), web.ended_with()] == [1, 2], web.output
        assert "dashboard.0001_initial" in check.output
        assert web.output.startswith("canopy: The database is not migrated: it lacks ")
        assert web.output.endswith("Run `canopy migrate`.\n")
    finally:
        for each in (check, web):
            each.stop()
