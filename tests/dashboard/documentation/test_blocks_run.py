"""The blocks of the documentation that say so are run, as they stand, against the whole product."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.documented_commands import Block, blocks
from tests.support.environment import ROOT
from tests.support.stack import Stack

pytestmark = pytest.mark.slow

SHELL = """#!/bin/sh
exec {python} {arguments} "$@"
"""

WITHIN = 300

WITH_WARNINGS = """canopy() { code=0; command canopy "$@" || code=$?; test $code = 0 || test "$1$code" = check1; }
"""
"""`canopy check` ends with 1 where it warns, as it does of SQLite and a stack on loopback."""


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with `canopy` and `python`, which are those of the tests' environment and this checkout."""
    folder = tmp_path_factory.mktemp("bin")
    for name, arguments in {"canopy": "-m dashboard.cli", "python": "", "python3": ""}.items():
        path = folder / name
        path.write_text(SHELL.format(python=sys.executable, arguments=arguments))
        path.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def person(stack: Stack) -> None:
    """Make the operator whom the pages call anna."""
    code = "from django.contrib.auth.models import Group, User; anna = User.objects.create_user('anna', password='{}')"
    code += "; anna.groups.add(Group.objects.get(name='operator'))"
    stack.manage("shell", "-c", code.format("correct horse battery"))


@pytest.fixture
def held(stack: Stack) -> Iterator[str]:
    """Launch a batch that does not end by itself."""
    batch = stack.launch_held(processor="simulate", count=4, plan={"chunk_size": 1})
    yield batch
    stack.api("POST", f"/batches/{batch}/cancel")


def _by_page() -> dict[str, list[Block]]:
    pages: dict[str, list[Block]] = {}
    for block in blocks():
        if block.is_tried:
            pages.setdefault(block.page.relative_to(ROOT).as_posix(), []).append(block)
    return pages


@pytest.mark.usefixtures("person")
def test_blocks_run_as_they_stand(stack: Stack, programs: Path, held: str, tmp_path: Path) -> None:
    """All blocks of a page in one shell, and every page: each command has to end with 0."""
    path = f"{programs}{os.pathsep}{Path(stack.temporal.binary).parent}{os.pathsep}{os.environ['PATH']}"
    given = {"PATH": path, "TOKEN": stack.login["token"], "BATCH": held, "PYTHONPATH": str(ROOT)}
    env = {**stack.env, "TEMPORAL_NAMESPACE": stack.temporal.namespace, "PORT": str(stack.port), **given}
    failed = []
    for page, tried in _by_page().items():
        script = WITH_WARNINGS + "\n".join(block.script for block in tried)
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-x", "-c", script],
            env=env,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=WITHIN,
        )
        if ran.returncode != 0:
            failed.append(f"{page}: {ran.returncode}\n{ran.stdout[-2000:]}\n{ran.stderr[-2000:]}")
    assert not failed, "\n\n".join(failed)
