"""Who may what, over every address of the site; headers; and the deployment check."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from pytest_django import Settings

from dashboard.accounts.api_tokens import create_token, person_of
from dashboard.accounts.permissions import may_operate, may_view
from dashboard.models import AuditEntry
from tests.support import builders
from tests.support.builders import MakeBatch
from tests.support.stack import ROOT

pytestmark = pytest.mark.django_db

OPEN_TO_ALL = {"login", "logout", "api-root", "api-unknown", "javascript-catalog"}
ACTIONS = ("retry", "pause", "resume", "cancel", "terminate", "window", "discard", "skip", "finish", "decide")


def _named(patterns: list[URLPattern | URLResolver]) -> Iterator[URLPattern]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from _named(pattern.url_patterns)
        else:
            yield pattern


def test_every_page_asks_for_a_login_but_those_that_cannot(client: Client) -> None:
    for pattern in _named(get_resolver().url_patterns):
        if pattern.name in OPEN_TO_ALL or "api/v1" in str(pattern.lookup_str) or pattern.lookup_str.startswith("ninja"):
            continue
        callback = pattern.callback
        assert getattr(callback, "login_required", True), pattern


@pytest.mark.parametrize("action", ACTIONS)
def test_a_viewer_can_do_nothing_to_a_batch(client: Client, make_batch: MakeBatch, action: str) -> None:
    batch = make_batch(2)
    client.force_login(builders.make_viewer())
    before = AuditEntry.objects.count()
    assert client.post(f"/batches/{batch.pk}/{action}/", {"status": "failed", "window": 3}).status_code == 403
    assert AuditEntry.objects.count() == before
    batch.refresh_from_db()
    assert batch.status == "pending"


@pytest.mark.parametrize("action", ["pause", "resume"])
def test_a_viewer_can_do_nothing_to_a_worker_of_a_pool(client: Client, make_batch: MakeBatch, action: str) -> None:
    batch = make_batch(2)
    node = builders.child_of(batch, 0)
    client.force_login(builders.make_viewer())
    assert client.post(f"/batches/{batch.pk}/nodes/{node.pk}/{action}/").status_code == 403
    assert client.get(f"/batches/{batch.pk}/nodes/{node.pk}/{action}/").status_code == 405


@pytest.mark.parametrize("action", ACTIONS)
def test_an_action_is_a_post_with_a_csrf_token_of_someone_logged_in(
    operator: User, make_batch: MakeBatch, action: str
) -> None:
    batch = make_batch(2)
    path = f"/batches/{batch.pk}/{action}/"
    strict = Client(enforce_csrf_checks=True)
    assert strict.post(path).status_code == 403
    strict.force_login(operator)
    assert strict.post(path).status_code == 403
    assert strict.get(path).status_code == 405
    assert Client().post(path).headers["Location"].startswith("/login/")


def test_a_viewer_finds_every_page_and_no_working_button(client: Client, make_batch: MakeBatch) -> None:
    batch = make_batch(2)
    client.force_login(builders.make_viewer())
    page = client.get(f"/batches/{batch.pk}/").content.decode()
    main = page[page.index("<main") : page.index("</main>")]
    assert 'method="post"' not in main
    assert client.get("/batches/").status_code == 200
    assert client.get("/launch/").status_code == 200


def test_policy_forbids_inline_code_and_foreign_origins(client: Client, operator: User, make_batch: MakeBatch) -> None:
    batch = make_batch(2)
    pages = ["/login/", "/batches/", f"/batches/{batch.pk}/", "/launch/", "/launch/simulate/", "/api/v1/docs"]
    for number, path in enumerate(pages):
        if number == 1:
            client.force_login(operator)
        answer = client.get(path)
        assert answer.status_code == 200, path
        policy = answer.headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert "http" not in policy
        assert answer.headers["X-Frame-Options"] == "DENY"


def test_roles_follow_from_groups(operator: User) -> None:
    viewer = builders.make_viewer()
    assert may_operate(operator)
    assert may_view(viewer)
    assert not may_operate(viewer)
    operator.is_active = False
    assert not may_operate(operator)


def test_a_token_is_kept_as_a_digest_and_dies_with_its_person(operator: User) -> None:
    token = create_token(operator, "test")
    assert not operator.api_tokens.filter(digest=token).exists()
    assert person_of(token) == operator
    assert person_of(token + "x") is None
    operator.is_active = False
    operator.save()
    assert person_of(token) is None


def test_guessing_passwords_locks_the_door(client: Client, db: None, settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # the usual one is slow on purpose
    right = {"username": "olga", "password": "a-long-enough-password"}
    builders.make_person("olga", password=right["password"])
    for _ in range(10):
        client.post("/login/", right | {"password": "wrong"})
    answer = client.post("/login/", right)
    assert answer.status_code == 429
    assert "_auth_user_id" not in client.session


def test_the_deployment_check_is_clean_in_production_settings() -> None:
    production = {
        "CANOPY_HTTPS": "1",
        "ALLOWED_HOSTS": "canopy.example.org",
        "CANOPY_SECRET_KEY": "k9" * 40 + "-Zq!x_" * 5,
    }
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | production, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
