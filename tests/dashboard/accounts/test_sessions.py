"""Sessions end, the first password is changed where others reach the dashboard, and passwords are good ones."""

from __future__ import annotations

import json
import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from dashboard.accounts import sessions
from dashboard.management.commands.first_login import make_first_login
from tests.support import builders

pytestmark = pytest.mark.django_db
HOUR = 3600.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that moves the time on by seconds, for sessions and for those who keep them."""
    passed = [0.0]
    real_now, real_time = timezone.now, time.time
    monkeypatch.setattr("dashboard.accounts.sessions.time.time", lambda: real_time() + passed[0])
    monkeypatch.setattr(timezone, "now", lambda: real_now() + timedelta(seconds=passed[0]))

    def move(seconds: float) -> None:
        passed[0] += seconds

    return move


def is_in(browser: Client) -> bool:
    return browser.get("/notifications/").status_code == 200


def test_a_session_ends_after_twelve_hours_without_a_person(logged_in: Client, clock: Any) -> None:
    assert is_in(logged_in)
    for _ in range(3):
        clock(11 * HOUR)
        assert is_in(logged_in)
    clock(12.1 * HOUR)
    assert not is_in(logged_in)


def test_a_session_ends_a_week_after_its_log_in_whatever_is_done_in_it(logged_in: Client, clock: Any) -> None:
    assert is_in(logged_in)
    for _ in range(20):
        clock(8 * HOUR)
        assert is_in(logged_in)
    clock(8.1 * HOUR)
    assert not is_in(logged_in)
    assert logged_in.get("/api/v1/processors").status_code == 401


def test_both_times_can_be_set(logged_in: Client, clock: Any, settings: Settings) -> None:
    settings.SESSION_COOKIE_AGE, settings.CANOPY_SESSION_SECONDS = 600, 1000
    assert is_in(logged_in)
    clock(500)
    assert is_in(logged_in)
    clock(501)
    assert not is_in(logged_in)


@pytest.mark.parametrize(
    "background",
    [{"HX-Request": "true", "HX-Trigger": "queues"}, {"Sec-Fetch-Mode": "cors"}],
)
def test_a_page_that_is_left_open_keeps_no_session(logged_in: Client, clock: Any, background: dict[str, str]) -> None:
    assert is_in(logged_in)
    for _ in range(2):
        clock(6.1 * HOUR)
        logged_in.get("/notifications/", headers=background)
    assert not is_in(logged_in)


def test_the_stored_session_expires_then_too_which_websockets_ask(logged_in: Client, clock: Any) -> None:
    clock(0)
    assert is_in(logged_in)
    [kept] = Session.objects.all()
    assert timedelta(hours=11.9) < kept.expire_date - timezone.now() <= timedelta(hours=12)


@pytest.fixture
def first(settings: Settings, tmp_path: Path) -> tuple[Client, dict[str, str]]:
    """Return the browser of who has logged in with the first login, and that login."""
    settings.HOME, settings.NEW_PASSWORD_REQUIRED = tmp_path, True
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # the usual one is slow on purpose
    login = make_first_login()
    assert login is not None
    browser = Client()
    browser.post("/login/", login)
    return browser, login


def test_the_first_password_opens_nothing_but_its_change(first: tuple[Client, dict[str, str]]) -> None:
    browser, login = first
    for path in ("/", "/batches/", "/launch/", "/api/v1/docs"):
        assert browser.get(path).headers.get("Location", "403") in ("/password/", "403")
    assert browser.get("/api/v1/processors").status_code == 403
    assert browser.post("/appearance/", {"theme": "dark"}).status_code == 302
    token = {"Authorization": f"Bearer {login['token']}"}
    assert Client().get("/api/v1/processors", headers=token).status_code == 200
    new = "correct horse battery"
    fields = {"old_password": login["password"], "new_password1": new, "new_password2": new}
    assert browser.post("/password/", fields).headers["Location"] == "/"
    assert browser.get("/batches/").status_code == 200
    again = Client()
    again.post("/login/", {"username": login["username"], "password": new})
    assert again.get("/batches/").status_code == 200


def test_the_first_password_opens_everything_where_only_this_machine_gets_in(
    first: tuple[Client, dict[str, str]], settings: Settings
) -> None:
    settings.NEW_PASSWORD_REQUIRED = False
    assert first[0].get("/batches/").status_code == 200


@pytest.mark.parametrize("bad", ["short-a1", "123456789012", "password1234", "operator1234", "1q2w3e4r5t6y"])
def test_a_bad_password_is_refused_with_a_reason(first: tuple[Client, dict[str, str]], bad: str) -> None:
    browser, login = first
    fields = {"old_password": login["password"], "new_password1": bad, "new_password2": bad}
    answer = browser.post("/password/", fields)
    assert answer.status_code == 422
    assert 'class="error"' in answer.content.decode()
    assert User.objects.get().check_password(login["password"])


def test_the_first_password_is_long_and_not_printed_to_a_file(settings: Settings, tmp_path: Path) -> None:
    settings.HOME = tmp_path
    with (tmp_path / "log").open("w") as log:
        call_command("first_login", stdout=log)
    login = json.loads((tmp_path / "first-login.json").read_text())
    assert len(login["password"]) >= 12
    assert (tmp_path / "first-login.json").stat().st_mode & 0o777 == 0o600
    said = (tmp_path / "log").read_text()
    assert login["password"] not in said
    assert str(tmp_path / "first-login.json") in said


@pytest.mark.parametrize("to", ["a pipe", "--json"])
def test_a_program_that_reads_the_command_has_the_first_login(settings: Settings, tmp_path: Path, to: str) -> None:
    settings.HOME = tmp_path
    if to == "a pipe":
        reader, writer = os.pipe()
    else:
        reader, writer = (os.open(tmp_path / "log", flags) for flags in (os.O_RDONLY | os.O_CREAT, os.O_WRONLY))
    with os.fdopen(writer, "w") as output:
        call_command("first_login", *(["--json"] if to == "--json" else []), stdout=output)
    with os.fdopen(reader) as said:
        assert json.loads(said.read()) == json.loads((tmp_path / "first-login.json").read_text())


def test_a_person_without_a_first_password_is_asked_for_nothing(logged_in: Client, settings: Settings) -> None:
    settings.NEW_PASSWORD_REQUIRED = True
    assert is_in(logged_in)
    assert builders.make_viewer().groups.filter(name=sessions.FIRST_PASSWORD).count() == 0
