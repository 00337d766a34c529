"""The environment: former names of variables, names of cookies, and a home that is its user's alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dashboard.environment import SHARED, cookie_name, is_loopback
from tests.support.stack import ROOT

SHOW = "from django.conf import settings as s; print(s.DEBUG, s.HTTPS, s.SECRET_KEY[:3], s.NEW_PASSWORD_REQUIRED)"
FORMER = ("DEBUG", "HTTPS", "SECRET_KEY")


def shown(home: Path, **given: str) -> tuple[str, str]:
    """Return the settings of a process with some variables, and what it warns of."""
    unset = {*FORMER, *(f"CANOPY_{name}" for name in FORMER), "HOST"}
    kept = {name: value for name, value in os.environ.items() if name not in unset}
    env = {**kept, "CANOPY_HOME": str(home), "DJANGO_SETTINGS_MODULE": "dashboard.settings", **given}
    command = [sys.executable, "-c", SHOW]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True, umask=0o022)
    return done.stdout.strip(), done.stderr


def test_names_that_other_programs_know_have_a_prefix_and_the_former_ones_warn(tmp_path: Path) -> None:
    new = {"CANOPY_DEBUG": "1", "CANOPY_HTTPS": "1", "CANOPY_SECRET_KEY": "newest"}
    assert shown(tmp_path, **new, DEBUG="0", SECRET_KEY="other") == ("True True new True", "")
    found, warnings = shown(tmp_path, DEBUG="1", HTTPS="1", SECRET_KEY="old")
    assert found == "True True old True"
    assert [f"{name} is now called CANOPY_{name}" in warnings for name in FORMER] == [True] * 3


def test_former_keys_go_on_being_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANOPY_SECRET_KEY_FALLBACKS", "older,oldest")
    code = "from django.conf import settings as s; print(s.SECRET_KEY_FALLBACKS)"
    env = os.environ | {"CANOPY_HOME": str(tmp_path), "DJANGO_SETTINGS_MODULE": "dashboard.settings"}
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, env=env, text=True).strip() == (
        "['older', 'oldest']"
    )


@pytest.mark.parametrize(("host", "required"), [("127.0.0.1", "False"), ("::1", "False"), ("0.0.0.0", "True")])
def test_the_first_password_is_changed_where_others_reach_the_dashboard(
    tmp_path: Path, host: str, required: str
) -> None:
    assert shown(tmp_path, HOST=host, CANOPY_SECRET_KEY="abc")[0] == f"False False abc {required}"


def test_only_loopback_is_this_machine_alone() -> None:
    assert all(map(is_loopback, ["localhost", "127.0.0.1", "127.8.0.1", "::1", "[::1]"]))
    assert not any(map(is_loopback, ["0.0.0.0", "::", "10.0.0.1", "canopy.example.org", ""]))


def test_cookies_behind_tls_belong_to_the_host() -> None:
    assert cookie_name("a", is_secure=False) == "a"
    assert cookie_name("a", is_secure=True) == "__Host-a"
    assert cookie_name("a", is_secure=True, path="/canopy/") == "__Secure-a-canopy"


def modes(folder: Path) -> dict[str, bool]:
    """Return which paths below a folder others have rights to."""
    return {path.name: bool(path.stat().st_mode & SHARED) for path in [folder, *folder.rglob("*")]}


def test_a_home_that_exists_is_closed_with_all_that_earlier_releases_made(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "uploads" / "2026").mkdir(parents=True)
    (home / "uploads" / "2026" / "items.csv").write_text("a")
    (home / "canopy.sqlite3").write_text("")
    for path in (home, *home.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)
    shown(home)
    assert not any(modes(home).values())
    assert (home / "secret-key").exists()


def test_what_is_made_in_a_home_with_files_of_others_is_private_and_theirs_are_left(tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text("")
    for path, mode in ((tmp_path, 0o755), (other, 0o644)):
        path.chmod(mode)
    shown(tmp_path)
    assert modes(tmp_path) == {tmp_path.name: True, "incoming": False, "other.txt": True, "secret-key": False}
