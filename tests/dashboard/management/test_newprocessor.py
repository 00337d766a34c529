"""manage.py newprocessor: its files work, invalid names are rejected, and no file is overwritten."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from tests.support.stack import ROOT


def test_a_new_processor_passes_its_own_tests(tmp_path: Path) -> None:
    call_command("newprocessor", "double_up", into=tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", str(tmp_path / "test_double_up.py")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert "2 passed" in done.stdout, done.stdout


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("not-a-name", "cannot name a Python function"),
        ("class", "cannot name a Python function"),
        ("Resize", "cannot name a Python function"),
        ("simulate", "The processor 'simulate' already exists: .*simulate.py"),
        ("json", "A Python module 'json' already exists"),
    ],
)
def test_an_invalid_name_is_rejected(name: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=reason):
        call_command("newprocessor", name, into=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_no_file_is_overwritten(tmp_path: Path) -> None:
    kept = tmp_path / "test_mine.py"
    kept.write_text("mine")
    with pytest.raises(CommandError, match="already exists"):
        call_command("newprocessor", "mine", into=tmp_path)
    assert kept.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [kept]
    with pytest.raises(CommandError, match="is not a folder"):
        call_command("newprocessor", "mine", into=tmp_path / "nowhere")


@pytest.mark.parametrize("command", ["run", "worker"])
def test_an_unusable_processor_prevents_the_start_with_file_and_reason(command: str, tmp_path: Path) -> None:
    (tmp_path / "half_typed.py").write_text(
        "from orchestration.processors.registry import processor\n@processor\ndef half(item) -> str: ...\n"
    )
    more = {"PYTHONPATH": str(tmp_path), "CANOPY_PROCESSORS": "half_typed", "CANOPY_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "manage.py", command],
        cwd=ROOT,
        env={**os.environ, **more},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 2
    assert f"{tmp_path / 'half_typed.py'}: half: item needs a type" in done.stderr
    assert "Traceback" not in done.stderr
