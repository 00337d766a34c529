"""What tests of the dashboard share: a file database (threads share it), a person and batches."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import DjangoDbBlocker, Settings

from dashboard.definitions.stages import PARSED
from dashboard.models import Batch
from orchestration.plan.plan import Plan
from tests.support import builders
from tests.support.builders import MakeBatch
from tests.support.prepared import migrated_database

IS_SQLITE: bool = settings.DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3"


@pytest.fixture(scope="session")
def django_db_modify_db_settings(tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker) -> None:
    """Put SQLite's test database into a file with WAL, as in production: an in-memory one locks whole tables.

    It is a copy of one that was migrated once for all processes of the tests.
    """
    database: dict[str, Any] = settings.DATABASES["default"]
    if IS_SQLITE:
        path: Path = tmp_path_factory.mktemp("database") / "test.sqlite3"
        with django_db_blocker.unblock():
            shutil.copy(migrated_database(), path)
        database.setdefault("TEST", {})["NAME"] = str(path)


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """Have pytest-django take the copy as it is; its folder is taken away with those of other runs."""
    return IS_SQLITE


@pytest.fixture(autouse=True)
def no_definitions_kept() -> None:
    """Forget the definitions of other tests: each test's versions have the same ids again."""
    PARSED.clear()


@pytest.fixture
def operator(db: None) -> User:
    """Return a person who may operate."""
    return builders.make_person("olga")


@pytest.fixture
def visitor(db: None) -> Client:
    """Return a browser of a person who has not logged in."""
    return Client()


@pytest.fixture
def logged_in(visitor: Client, operator: User) -> Client:
    """Return the operator's browser."""
    visitor.force_login(operator)
    return visitor


@pytest.fixture
def at_home(logged_in: Client) -> Client:
    """Return the operator's browser in a session that was used a moment ago: now and then a request writes that."""
    logged_in.get("/definitions/")
    return logged_in


@pytest.fixture
def make_batch(operator: User) -> MakeBatch:
    """Return a function that writes a launched batch: make_batch(items, chunk_size, window=...)."""

    def make(items: int = 4, chunk_size: int = 1, **plan: Any) -> Batch:
        return builders.make_batch(operator, items, plan=Plan(chunk_size=chunk_size, **plan))

    return make


@pytest.fixture(autouse=True)
def plain_static_files(settings: Settings) -> None:
    """Link static files by their own names: hashed ones exist after collectstatic only, which the browser tests run."""
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}
