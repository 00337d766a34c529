"""The launch form of parameters of many types, and of items whose validator raises."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import pytest
from django.test import Client
from pydantic import BaseModel, field_validator

from dashboard.models import Batch
from orchestration.processors import registry
from orchestration.processors.registry import processor
from tests.support.forms import launch_form
from tests.support.html_forms import sent_unchanged

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("temporal_away")]


class Options(BaseModel):
    """Parameters whose names and types a form of its own could trip over."""

    source: str = ", "
    day: date | None = date(2026, 1, 31)
    price: Decimal = Decimal("0.10")


class Country(BaseModel):
    """An item whose validator has a slip."""

    country: str

    @field_validator("country")
    @classmethod
    def known(cls, value: str) -> str:
        """Fail for any other country."""
        return {"de": "DE"}[value]


@pytest.fixture
def odd_form() -> Iterator[None]:
    """A processor with such parameters and items."""

    @processor(name="odd_form")
    def odd_form(item: Country, options: Options) -> str:
        return options.source

    yield
    registry._processors.pop("odd_form")


def test_a_form_launches_its_defaults_again_and_again(browser: Client, odd_form: None) -> None:
    given = {"format": "lines", "text": "de", "key": "", "label": "", "upload": ""}
    address, launched = "/launch/odd_form/", {"source": ", ", "day": "2026-01-31", "price": "0.10"}
    for _ in range(2):
        form = sent_unchanged(browser.get(address).content.decode())
        sent = {name: form[name] for name in form if "-" in name} | given
        sent |= {"format": "csv", "text": "country\nde", "idempotency_key": form["idempotency_key"]}
        answer = browser.post("/launch/odd_form/", sent)
        assert answer.status_code == 302, answer.content.decode()
        batch = Batch.objects.get(pk=answer.headers["Location"].split("/")[2])
        assert batch.parameters == launched
        address = f"/launch/odd_form/?like={batch.pk}"
    assert browser.get("/api/v1/processors").status_code == 200


def test_a_validator_that_raises_anything_makes_an_invalid_row(browser: Client, odd_form: None) -> None:
    given = launch_form(format="csv", text="country\nde\nfr")
    preview = browser.post("/launch/odd_form/preview/", given, headers={"HX-Request": "true"})
    assert "KeyError: &#x27;fr&#x27;" in preview.content.decode()
    assert browser.post("/launch/odd_form/", given).status_code == 422
    body = {"processor": "odd_form", "items": [{"country": "de"}, {"country": "fr"}]}
    answer = browser.post("/api/v1/batches", body, content_type="application/json")
    assert answer.status_code == 422
    assert "KeyError: 'fr'" in str(answer.json())
