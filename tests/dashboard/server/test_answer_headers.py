"""No answer is kept by a cache, and no page may use the device, be opened into another's hands, or say where it was."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client

from dashboard.accounts.api_tokens import create_token
from tests.support.builders import MakeBatch
from tests.support.stack import ROOT

pytestmark = pytest.mark.django_db

PAGES = ["/login/", "/batches/", "/batches/{id}/", "/batches/{id}/results/", "/batches/{id}/items.csv"]
PAGES += ["/batches/{id}/items.jsonl", "/batches/{id}/rejected.csv", "/launch/simulate/", "/nowhere/", "/a%00b/"]
PAGES += ["/api/v1/docs", "/api/v1/openapi.json", "/api/v1/processors", "/api/v1/nowhere", "/password/"]


@pytest.mark.parametrize("page", PAGES)
def test_every_answer_is_private(logged_in: Client, make_batch: MakeBatch, page: str) -> None:
    logged_in.raise_request_exception = False
    answer = logged_in.get(page.format(id=make_batch(2).pk))
    assert "no-store" in answer.headers["Cache-Control"]
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    for feature in ("camera", "microphone", "geolocation", "payment", "usb"):
        assert f"{feature}=()" in answer.headers["Permissions-Policy"]


def test_answers_to_tokens_and_to_strangers_are_private(operator: User, client: Client) -> None:
    token = {"Authorization": f"Bearer {create_token(operator, 'test')}"}
    for answer in (client.get("/api/v1/processors", headers=token), client.get("/batches/"), client.post("/login/")):
        assert answer.headers["Cache-Control"].startswith(("no-store", "max-age=0, no-cache, no-store"))


LOG_IN = """
import django; django.setup()
from django.conf import settings
from django.core.management import call_command
from django.test import Client
call_command("migrate", verbosity=0)
plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}
from dashboard.management.commands.first_login import make_first_login
browser, login = Client(), make_first_login()
browser.get("/login/", secure=True)
browser.post("/login/", login, secure=True)
browser.post("/appearance/", {"theme": "dark", "density": "compact", "language": "de"}, secure=True)
browser.get("/password/", secure=True)
for each in browser.cookies.values():
    print(each.key, each["path"], each["secure"], each["httponly"], each["samesite"], each["domain"] or "-")
"""


def test_every_cookie_behind_tls_belongs_to_the_host(tmp_path: Path) -> None:
    env = {**os.environ, "CANOPY_HOME": str(tmp_path), "CANOPY_HTTPS": "1", "ALLOWED_HOSTS": "testserver"}
    env |= {"DJANGO_SETTINGS_MODULE": "dashboard.settings"}
    env.pop("DATABASE_URL", None)
    done = subprocess.run([sys.executable, "-c", LOG_IN], cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    cookies = {name: rest for name, *rest in map(str.split, done.stdout.splitlines())}
    names = ("sessionid", "csrftoken", "canopy-theme", "canopy-density", "canopy-language")
    assert cookies == {f"__Host-{name}": ["/", "True", "True", "Lax", "-"] for name in names}
