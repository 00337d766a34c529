"""Migrations since the last release only add: its processes go on while they are applied, and after it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

from django.db.migrations import operations
from django.db.migrations.loader import MigrationLoader
from django.db.models import NOT_PROVIDED

from tests.support.environment import ROOT
from tests.support.releases import LAST_RELEASE

ALLOWED = (
    operations.CreateModel,
    operations.AddIndex,
    operations.AddConstraint,
    operations.AlterField,
    operations.AlterModelOptions,
    operations.RunPython,
)
"""Besides AddField. What alters or moves data has to leave what the last release reads and writes."""


def _since_the_last_release() -> Iterator[tuple[str, operations.base.Operation]]:
    listed = subprocess.run(
        ["git", "ls-tree", "-r", "--name-only", LAST_RELEASE[1], "dashboard/migrations"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    released = {path.rpartition("/")[2].removesuffix(".py") for path in listed.stdout.split()}
    assert "0001_initial" in released
    for (app, name), migration in MigrationLoader(None).disk_migrations.items():
        if app == "dashboard" and name not in released:
            for operation in migration.operations:
                yield name, operation


def test_the_last_release_can_read_and_write_the_migrated_database() -> None:
    breaking, new = list[str](), set[str]()
    for name, operation in _since_the_last_release():
        if isinstance(operation, operations.CreateModel):
            new.add(operation.name_lower)
        if isinstance(operation, operations.AddField):
            field = operation.field
            if operation.model_name_lower in new:
                continue
            if not field.null and not field.many_to_many and field.db_default is NOT_PROVIDED:
                breaking.append(f"{name}: {operation.model_name}.{operation.name} needs null or db_default")
        elif not isinstance(operation, ALLOWED):
            breaking.append(f"{name}: {operation.describe()}")
    assert breaking == []
