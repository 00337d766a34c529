"""Web processes of one installation have one secret key, or do not start."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from pytest_django import Settings

from dashboard.models import CommonValue
from dashboard.server import common_key
from dashboard.server.common_key import compare_key
from orchestration.startup import CannotStart

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    """Several machines are possible, and fingerprints are quick."""
    monkeypatch.setattr(common_key, "ROUNDS", 1)
    settings.REDIS_URL = "redis://127.0.0.1:1"
    settings.SECRET_KEY_FALLBACKS = []


def _start_with(settings: Settings, key: str, *former: str) -> None:
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = key, [*former]
    compare_key()


def test_the_first_process_says_which_key_all_have(settings: Settings) -> None:
    _start_with(settings, "one")
    _start_with(settings, "one")
    assert "one" not in CommonValue.objects.get().value
    with pytest.raises(CannotStart, match="CANOPY_SECRET_KEY_FALLBACKS"):
        _start_with(settings, "two")
    with pytest.raises(CannotStart):
        _start_with(settings, "two", "three")
    _start_with(settings, "one")


def test_a_key_replaces_a_former_one(settings: Settings) -> None:
    _start_with(settings, "one")
    _start_with(settings, "two", "one")
    _start_with(settings, "two")
    with pytest.raises(CannotStart):
        _start_with(settings, "one")
    _start_with(settings, "one", "two")


def test_a_generated_key_is_named_by_its_file(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    _start_with(settings, "one")
    for name in ("CANOPY_SECRET_KEY", "SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(CannotStart, match=r"generated in .*secret-key is not"):
        _start_with(settings, "two")


def test_a_lost_key_can_be_given_up(settings: Settings) -> None:
    _start_with(settings, "one")
    settings.SECRET_KEY = "two"
    call_command("acceptkey")
    _start_with(settings, "two")
    with pytest.raises(CannotStart):
        _start_with(settings, "one")


def test_on_one_machine_a_key_may_just_change(settings: Settings) -> None:
    settings.REDIS_URL = ""
    settings.DATABASES["default"]["ENGINE"] = "django.db.backends.sqlite3"
    _start_with(settings, "one")
    _start_with(settings, "two")
    assert not CommonValue.objects.exists()
