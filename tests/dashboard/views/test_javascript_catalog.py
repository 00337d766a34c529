"""The texts of scripts, in the languages that are installed: others leave nothing in memory."""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils.translation import trans_real


@pytest.mark.django_db
def test_languages_that_are_not_installed_are_answered_in_english_and_not_kept(client: Client) -> None:
    english = client.get("/texts/en/")
    assert "gettext" in english.content.decode()
    assert client.get("/texts/de/").content != english.content
    kept = dict(trans_real._translations)  # type: ignore[attr-defined]
    for language in ("xx", "tlh", "fr", "de-xx", "en-x-1", "x" * 300):
        assert client.get(f"/texts/{language}/").content == english.content
    assert trans_real._translations.keys() == kept.keys()  # type: ignore[attr-defined]
