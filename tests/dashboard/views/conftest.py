"""What tests of views share: a browser, and a Temporal that is away."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import Client
from pytest_django import Settings

from dashboard.temporal import gateway


@pytest.fixture
def temporal_away(settings: Settings) -> Iterator[None]:
    """Point at a port where nobody answers."""
    settings.TEMPORAL_ADDRESS = "127.0.0.1:1"
    gateway.cache_clear()
    yield
    gateway.cache_clear()


@pytest.fixture
def browser(logged_in: Client, temporal_away: None) -> Client:
    """Return an operator's browser, while Temporal is away."""
    return logged_in
