"""A backup that is made while a batch runs, and what is restored from it elsewhere."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dashboard.backup.archive import verified
from tests.support.environment import ROOT
from tests.support.prepared import manage
from tests.support.stack import Stack

CHECK = """
import json
from dashboard.models import GENERATION, Batch, Item, Upload
from tests.support.oracle import assert_consistent
for pk in Batch.objects.values_list("pk", flat=True):
    assert_consistent(pk)
print(json.dumps({
    "batches": {batch.pk: batch.items_completed for batch in Batch.objects.all()},
    "generations": sorted({batch.revision // GENERATION for batch in Batch.objects.all()}),
    "without a result": Item.objects.filter(status="completed", result=None).count(),
    "uploads": [upload.reader().read().decode(errors="replace") for upload in Upload.objects.order_by("pk")],
}))
"""


def canopy(env: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command, and return how it ended and what it said."""
    command = [sys.executable, "-m", "dashboard.cli", *arguments]
    return subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=400, check=False)


def backed_up(stack: Stack, file: Path) -> None:
    """Back a running stack up, which is refused to be restored."""
    made = canopy(stack.env, "backup", str(file))
    assert made.returncode == 0, made.stderr
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir() if "backup" in path.name] == [file.name]
    assert verified(file).database_at is not None
    refused = canopy(stack.env, "restore", "--replace", str(file))
    assert refused.returncode == 1
    assert "Stop Canopy first" in refused.stderr


def restored(env: Mapping[str, str], file: Path, *options: str) -> dict[str, Any]:
    """Restore a backup elsewhere, check that all rows go together, and return what is there."""
    done = canopy(env, "restore", *options, str(file))
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(manage(env, "shell", "--verbosity=0", f"--command={CHECK}").splitlines()[-1])
    return found
