"""Where settings do not fit what is in front of the dashboard, the page says what is wrong and the log what to set."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import set_script_prefix
from pytest_django import Settings

from dashboard.server import misdirected, plain_http
from dashboard.server.static_storage import below_prefix
from dashboard.server.throttle import Throttle
from tests.support.builders import make_person


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(misdirected, "WARNED", Throttle(1, 3600))
    monkeypatch.setattr(plain_http, "WARNED", Throttle(20, 3600))
    caplog.set_level(logging.WARNING)


def words(answer: Any) -> str:
    return str(answer.content.decode())


def test_a_host_that_is_not_answered_is_named_in_the_log(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    settings.ALLOWED_HOSTS = ["canopy.example.org"]
    for _ in range(2):
        page = Client().get("/login/", headers={"Host": "10.0.0.5:8000"})
        assert page.status_code == 400
        assert "does not answer under this host name" in words(page)
        assert "<a " not in words(page), "every address of it would be refused"
    assert caplog.text.count("to the host '10.0.0.5:8000': the dashboard answers under canopy.example.org") == 1
    assert "CANOPY_URL=https://10.0.0.5:8000" in caplog.text
    answer = Client().get("/api/v1/batches/x", headers={"Host": "10.0.0.5:8000"})
    assert "host name" in answer.json()["detail"]


@pytest.fixture
def behind_tls(settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT, settings.SECURE_SSL_HOST = True, "canopy.example.org"
    settings.TRUSTED_PROXIES = ["10.0.0.0/8"]


def request(path: str, peer: str = "10.0.0.1", *, secure: bool = False, **headers: str) -> Any:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return Client(REMOTE_ADDR=peer).get(path, headers={"Host": "localhost", **given}, secure=secure)


@pytest.mark.usefixtures("behind_tls")
def test_a_proxy_that_does_not_say_https_is_no_endless_redirect(caplog: pytest.LogCaptureFixture) -> None:
    silent = request("/login/?next=/batches/")
    assert silent.status_code == 400
    assert "open https://canopy.example.org/login/?next=/batches/" in words(silent)
    assert "<a " not in words(silent), "every address of it would be refused"
    style = re.findall(r'href="([^"]+\.css)"', words(silent))[0]
    assert request(style).status_code not in (301, 400), "it has its styles, where they have been collected"
    assert "it has no X-Forwarded-Proto" in caplog.text
    stranger = request("/login/", peer="192.0.2.1", X_Forwarded_Proto="https")
    assert stranger.status_code == 400
    assert "192.0.2.1 is not in TRUSTED_PROXIES" in caplog.text
    assert request("/api/v1/batches/x").json()["detail"].startswith("This dashboard is only served over HTTPS")


@pytest.mark.django_db
@pytest.mark.usefixtures("behind_tls")
def test_who_came_without_tls_is_redirected_and_who_came_with_it_is_served() -> None:
    plain = request("/login/?a=b", X_Forwarded_Proto="http")
    assert (plain.status_code, plain["Location"]) == (301, "https://canopy.example.org/login/?a=b")
    assert request("/login/", secure=True).status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("headers", "page"),
    [
        ({"Origin": "https://canopy.example.org:8443"}, "https://canopy.example.org:8443"),
        ({"Origin": "null"}, "null"),
    ],
)
def test_a_form_of_another_origin_says_which(
    headers: dict[str, str], page: str, caplog: pytest.LogCaptureFixture
) -> None:
    refused = login_form(headers)
    assert refused.status_code == 403
    assert f"The form was sent from {page}, but this dashboard is at http://testserver" in words(refused)
    assert f"Refused a form of '{page}'" in caplog.text
    assert "CSRF_TRUSTED_ORIGINS" in caplog.text


def login_form(headers: dict[str, str], *, keeps_cookies: bool = True) -> HttpResponse:
    make_person("petra")
    browser = Client(enforce_csrf_checks=True)
    token = browser.get("/login/").context["csrf_token"]
    if not keeps_cookies:
        browser.cookies.clear()
    form = {"csrfmiddlewaretoken": token, "username": "petra", "password": "x"}
    return browser.post("/login/", form, headers=headers)  # type: ignore[return-value]  # the test client's answer


@pytest.mark.django_db
def test_a_browser_without_cookies_is_told_so() -> None:
    assert "has sent no cookie" in words(login_form({}, keeps_cookies=False))


def test_static_files_follow_a_prefix_that_only_the_server_knows() -> None:
    """uvicorn's --root-path."""
    assert below_prefix("/static/x.css") == "/static/x.css"
    set_script_prefix("/canopy")
    try:
        assert below_prefix("/static/x.css") == below_prefix("/canopy/static/x.css") == "/canopy/static/x.css"
    finally:
        set_script_prefix("/")
