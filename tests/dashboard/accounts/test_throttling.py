"""Log-ins are throttled by account and by address, and the address is the real one."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from dashboard.models import SavedView, Subscription
from dashboard.notifications.subscriptions import TESTS
from dashboard.server.throttle import Throttle
from dashboard.views.saved_views import MOST_SHARED, MOST_VIEWS
from tests.support.builders import make_person

pytestmark = pytest.mark.django_db

TRIES = 10


@pytest.fixture(autouse=True)
def quick_hashes(settings: Settings) -> None:
    """The usual ones are slow on purpose."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def try_login(name: str, address: str, *, password: str = "wrong", **headers: str) -> int:
    given = {"username": name, "password": password}
    return Client(REMOTE_ADDR=address).post("/login/", given, headers=headers).status_code


@pytest.fixture
def person() -> User:
    return make_person("petra", password="long enough, and right")


def test_an_account_is_locked_from_every_address(person: User) -> None:
    assert {try_login("petra", f"192.0.2.{number}") for number in range(TRIES - 1)} == {200}
    assert try_login("petra", "192.0.2.200") == 429
    assert try_login("petra", "198.51.100.7", password="long enough, and right") == 429


def test_an_address_alone_locks_itself_and_not_the_account(person: User) -> None:
    assert [try_login("petra", "192.0.2.1") for _ in range(TRIES)] == [200] * (TRIES - 1) + [429]
    assert try_login("petra", "192.0.2.1", password="long enough, and right") == 429
    assert try_login("petra", "192.0.2.2", password="long enough, and right") == 302


def test_two_addresses_lock_an_account_together(person: User) -> None:
    for _ in range(TRIES // 2):
        assert try_login("petra", "192.0.2.1") == 200
    for _ in range(TRIES // 2 - 1):
        assert try_login("petra", "192.0.2.2") == 200
    assert try_login("petra", "192.0.2.2") == 429
    assert try_login("petra", "198.51.100.7", password="long enough, and right") == 429


def test_an_address_is_locked_for_every_account(person: User) -> None:
    assert {try_login(f"nobody-{number}", "192.0.2.1") for number in range(TRIES - 1)} == {200}
    assert try_login("nobody", "192.0.2.1") == 429
    assert try_login("petra", "192.0.2.1", password="long enough, and right") == 429
    assert try_login("petra", "192.0.2.2", password="long enough, and right") == 302


@pytest.mark.parametrize("trusted", [[], ["10.0.0.1"]])
def test_a_header_of_a_stranger_changes_nothing(settings: Settings, trusted: list[str]) -> None:
    settings.TRUSTED_PROXIES = trusted
    tries = [
        try_login(f"nobody-{number}", "192.0.2.1", **{"X-Forwarded-For": f"203.0.113.{number}"})
        for number in range(TRIES)
    ]
    assert tries[-1] == 429


def test_behind_a_proxy_each_visitor_is_counted_alone(settings: Settings, person: User) -> None:
    settings.TRUSTED_PROXIES = ["10.0.0.1"]
    attacker = {"X-Forwarded-For": "1.2.3.4, 203.0.113.1"}
    assert [try_login(f"nobody-{number}", "10.0.0.1", **attacker) for number in range(TRIES)][-1] == 429
    visitor = {"X-Forwarded-For": "203.0.113.2"}
    assert try_login("petra", "10.0.0.1", password="long enough, and right", **visitor) == 302


def test_an_ipv6_subscriber_is_one_address() -> None:
    assert [try_login(f"nobody-{number}", f"2001:db8::{number:x}") for number in range(TRIES)][-1] == 429


def test_who_has_a_session_alone_does_not_find_the_password_out(person: User) -> None:
    browser, new = Client(), "another one, and as long"
    browser.force_login(person)

    def change(password: str) -> tuple[int, bool]:
        fields = {"old_password": password, "new_password1": new, "new_password2": new}
        answer = browser.post("/password/", fields)
        return answer.status_code, "Too many wrong passwords" in answer.content.decode()

    assert {change(f"guess {number}") for number in range(TRIES)} == {(422, False)}
    assert change("guess") == change("long enough, and right") == (429, True)
    assert person.check_password("long enough, and right")


def test_test_notifications_have_a_limit(logged_in: Client, operator: User) -> None:
    subscription = Subscription.objects.create(owner=operator, channel="webhook", address="https://example.org/")
    for _ in range(TESTS.limit + 3):
        answer = logged_in.post(f"/notifications/{subscription.pk}/test/", follow=True)
    assert "try again later" in answer.content.decode()
    assert subscription.deliveries.count() <= TESTS.limit


def test_views_have_a_limit_and_shared_ones_a_smaller_one(logged_in: Client, operator: User) -> None:
    def save(name: str, **more: str) -> str:
        return logged_in.post("/views/", {"name": name, "query": "", **more}, follow=True).content.decode()

    shared = [SavedView(owner=operator, name=f"s{number}", is_shared=True) for number in range(MOST_SHARED)]
    SavedView.objects.bulk_create(shared)
    assert "delete one first" in save("one more", is_shared="on")
    assert "delete one first" not in save("s1", is_shared="on"), "one that exists may be saved again"
    assert "delete one first" not in save("for me")
    more = MOST_VIEWS - operator.saved_views.count()
    SavedView.objects.bulk_create([SavedView(owner=operator, name=f"m{number}") for number in range(more)])
    assert "delete one first" in save("too many")
    assert operator.saved_views.count() == MOST_VIEWS


def test_a_throttle_forgets_with_time_and_counts_keys_apart() -> None:
    now = [0.0]
    throttle = Throttle(2, 10, clock=lambda: now[0])
    assert [throttle.take("a"), throttle.take("a"), throttle.take("a"), throttle.take("b")] == [True, True, False, True]
    assert 0 < throttle.retry_after("a") <= 11
    now[0] = 10.5
    assert throttle.retry_after("a") == 0
    assert throttle.take("a")
