"""canopy check: what it finds on a machine where nothing works, on one where all does, and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dashboard.preflight import file_checks, report
from dashboard.preflight.clocks import clock_finding
from dashboard.preflight.findings import Level, ok
from tests.support.environment import ROOT
from tests.support.ports import free_port
from tests.support.stack import Stack


def check(env: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
    """Run the command, and return its exit status and what it found."""
    command = [sys.executable, "-m", "dashboard.cli", "check", "--json"]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False)
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, found


def levels(found: Mapping[str, Any]) -> dict[str, str]:
    """Return the gravest level of each subject."""
    order = [each.name.lower() for each in Level]
    gravest = dict[str, str]()
    for each in sorted(found["checks"], key=lambda each: order.index(each["level"])):
        gravest[each["subject"]] = each["level"]
    return gravest


def test_where_nothing_works_each_line_says_what_and_how_to_fix_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "uploads").mkdir(mode=0o500)
    (home / "data of others").mkdir()  # a home that is not ours alone keeps its mode
    home.chmod(0o755)
    nowhere = f"127.0.0.1:{free_port()}"
    env = os.environ | {
        "CANOPY_HOME": str(home),
        "DATABASE_URL": f"postgres://canopy:geheim@{nowhere}/canopy",
        "REDIS_URL": f"redis://:geheim@{nowhere}/0",
        "TEMPORAL_ADDRESS": nowhere,
        "CANOPY_SECRET_KEY": "short",
        "CANOPY_PROCESSORS": "not_there",
        "HOST": "0.0.0.0",
    }
    status, found = check(env)
    assert (status, found["status"]) == (2, "fail")
    expected = {
        "database": "fail",
        "redis": "fail",
        "temporal": "fail",
        "processors": "fail",
        "secret key": "warn",
        "settings": "warn",
        "rights": "warn",
    }
    assert expected.items() <= levels(found).items(), found
    wrong = [each for each in found["checks"] if each["level"] != "ok"]
    assert [each for each in wrong if not (each["message"] and each["fix"])] == []
    assert "geheim" not in json.dumps(found)
    assert nowhere in next(each["message"] for each in found["checks"] if each["subject"] == "redis")


def test_an_empty_database_is_not_migrated_and_nothing_is_changed(tmp_path: Path) -> None:
    env = os.environ | {"CANOPY_HOME": str(tmp_path / "home"), "TEMPORAL_ADDRESS": f"127.0.0.1:{free_port()}"}
    status, found = check(env)
    (migrations,) = [each for each in found["checks"] if each["subject"] == "migrations"]
    assert (status, migrations["level"], migrations["fix"]) == (2, "fail", "Run `canopy migrate`.")
    again = check(env)[1]
    assert [each for each in again["checks"] if each["subject"] == "migrations"] == [migrations]
    assert list((tmp_path / "home").glob("uploads/*")) == []


def test_where_all_works_there_is_nothing_to_fix_and_a_namespace_that_is_not_there_is_named(stack: Stack) -> None:
    status, found = check(stack.env)
    wrong = [each for each in found["checks"] if each["level"] == "fail"]
    assert (wrong, status < 2) == ([], True), found
    fine = {each["subject"] for each in found["checks"] if each["level"] == "ok"}
    assert fine >= {"database", "migrations", "clock", "task queue", "home", "rights", "uploads"}
    (short,) = [each["message"] for each in found["checks"] if each["subject"] == "temporal"]
    assert "for 24 hours only" in short, "which is what a development server has"
    polled = [each["message"] for each in found["checks"] if each["subject"] == "task queue"]
    assert {each.partition(":")[0] for each in polled} >= {"canopy", "canopy-dashboard", "canopy-schedules"}
    status, found = check({**stack.env, "TEMPORAL_NAMESPACE": "nowhere"})
    (temporal,) = [each for each in found["checks"] if each["subject"] == "temporal"]
    assert (status, temporal["level"]) == (2, "fail")
    assert "nowhere" in temporal["message"]
    assert "TEMPORAL_NAMESPACE" in temporal["fix"]


def test_clocks_are_compared_as_exactly_as_they_can_be_read() -> None:
    assert clock_finding("Temporal", 0.4, 0.3).level is Level.OK
    assert clock_finding("Temporal", -4, 0.3).level is Level.WARN
    assert "4.0 s behind" in clock_finding("Temporal", -4, 0.3).message
    assert clock_finding("Temporal", 31, 0.3).level is Level.FAIL
    assert clock_finding("Temporal", 4, 4).level is Level.OK


def test_a_part_that_cannot_be_looked_at_is_a_finding_and_the_others_are_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(report, "PARTS", {"redis": lambda: 1 // 0, "files": lambda: [ok("disk", "There is room.")]})
    broken, fine = report.all_findings()
    assert (broken.subject, broken.level, "ZeroDivisionError" in broken.message) == ("redis", Level.FAIL, True)
    assert fine.level is Level.OK


def test_a_disk_without_room_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for limits, level in [((0, 0), Level.OK), ((2**60, 0), Level.WARN), ((2**60, 2**60), Level.FAIL)]:
        monkeypatch.setattr(file_checks, "LITTLE", limits[0])
        monkeypatch.setattr(file_checks, "TOO_LITTLE", limits[1])
        assert file_checks._room(tmp_path).level is level
