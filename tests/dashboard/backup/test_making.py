"""What a backup has, in which order it is copied, and that it is brought back whole."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.db import connection
from pytest_django import Settings

from dashboard.backup.archive import reading
from dashboard.backup.errors import BackupError
from dashboard.backup.making import Contents, make_backup
from dashboard.inputs.uploads import store_upload
from tests.support.backups import backed_up, canopy, restored
from tests.support.stack import Stack
from tests.support.waiting import wait_until

PLAN = {"chunk_size": 2, "window": 2}


@pytest.fixture
def home(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with the database of an embedded Temporal."""
    with closing(sqlite3.connect(tmp_path / "temporal.sqlite3")) as database:
        database.execute("CREATE TABLE executions (id)")
    settings.HOME = tmp_path
    monkeypatch.delenv("TEMPORAL_ADDRESS", raising=False)
    return tmp_path


@pytest.mark.django_db(transaction=True)
def test_temporal_is_copied_before_the_database_and_the_key_only_where_it_is_asked_for(
    home: Path, operator: User, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DATABASES["default"]["NAME"] = connection.settings_dict["NAME"]
    upload = store_upload(operator, "rows", ContentFile(b"a\nb\n"))
    said, target = list[str](), home / "out" / "backup.tar.gz"
    with pytest.raises(BackupError, match="There is no folder"):
        make_backup(str(target), "0.2.0", Contents(), said.append)
    target.parent.mkdir()
    made = make_backup(str(target), "0.2.0", Contents(with_secrets=True), said.append)
    assert made.temporal_at is not None
    assert made.database_at is not None
    assert made.temporal_at <= made.database_at
    with reading(target) as parts:
        found = [name for name, _ in parts]
    assert found == ["temporal.sqlite3", "database", f"uploads/{upload.file.name}", "secret-key", "manifest.json"]
    assert [path.name for path in target.parent.iterdir()] == [target.name]
    upload.file.storage.delete(str(upload.file.name))
    monkeypatch.setenv("TEMPORAL_ADDRESS", "temporal:7233")
    again = make_backup(str(target), "0.2.0", Contents(), said.append)
    assert (sorted(again.parts), again.missing_uploads) == (["database"], [upload.file.name])


@pytest.mark.slow
def test_a_backup_made_while_a_batch_runs_is_whole_elsewhere(stack: Stack, tmp_path: Path) -> None:
    given = {"processor": "simulate", "parameters": {"seconds_from": 0.3, "seconds_to": 0.6}, "plan": PLAN}
    batch = stack.launch(**given, count=40)
    wait_until(lambda: stack.batch(batch)["items"]["completed"] >= 4, "four items have results")
    file = tmp_path / "backup.tar.gz"
    backed_up(stack, file)
    elsewhere = {**stack.env, "CANOPY_HOME": str(tmp_path / "elsewhere")}
    there = restored(elsewhere, file)
    assert 4 <= there["batches"][batch] <= 40
    assert there["without a result"] == 0
    assert set(there["generations"]) == {1}
    refused = canopy(elsewhere, "restore", str(file))
    assert (refused.returncode, "is not empty" in refused.stderr) == (1, True)
    again = restored(elsewhere, file, "--replace")
    assert again == there
    assert list((tmp_path / "elsewhere").glob("replaced-*/canopy.sqlite3"))
    stack.wait_for(batch, "completed")
