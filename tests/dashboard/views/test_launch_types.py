"""The launch form of parameters of many types, and of items whose validator raises."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pydantic import BaseModel, field_validator

from dashboard.definitions.stages import definition_of
from dashboard.launching.launch import launch
from dashboard.models import Batch, DefinitionVersion, Schedule, Upload
from dashboard.schedules.stored_launch import StoredLaunch, request_of
from orchestration.contracts.dashboard_activities import DueLaunch
from orchestration.definitions.models import Pool
from orchestration.processors import registry
from orchestration.processors.catalogue import get_processor
from orchestration.processors.registry import processor
from orchestration.testing import run_items
from tests.support.forms import launch_form, launch_token
from tests.support.html_forms import sent_unchanged

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("temporal_away")]


class Rights(enum.Flag):
    """Members that are combined."""

    READ = 1
    RUN = 4


class Size(enum.Enum):
    """Values that JSON does not have."""

    SMALL = (1, 2)
    LARGE = (3, 4)


class Options(BaseModel):
    """Parameters whose names and types a form of its own could trip over."""

    source: str = ", "
    day: date | None = date(2026, 1, 31)
    price: Decimal = Decimal("0.10")
    rights: Rights = Rights.READ | Rights.RUN
    size: Size = Size.LARGE
    wait: timedelta = timedelta(minutes=-90)
    labels: frozenset[str] = frozenset({"a"})
    note: str | None = None


STORED = {
    "source": ", ",
    "day": "2026-01-31",
    "price": "0.10",
    "rights": 5,
    "size": [3, 4],
    "wait": "-PT1H30M",
    "labels": ["a"],
    "note": None,
}
"""The defaults as a batch stores them."""


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
        assert (options.size, options.rights) == (Size.LARGE, Rights.READ | Rights.RUN)
        return f"{options.day}{options.source}{options.wait}"

    yield
    registry._processors.pop("odd_form")


def test_a_form_launches_its_defaults_again_and_again(browser: Client, odd_form: None) -> None:
    given = {"format": "lines", "text": "de", "key": "", "label": "", "upload": ""}
    address = "/launch/odd_form/"
    for _ in range(2):
        form = sent_unchanged(browser.get(address).content.decode())
        sent = {name: form[name] for name in form if "-" in name} | given
        sent |= {"format": "csv", "text": "country\nde", "idempotency_key": form["idempotency_key"]}
        answer = browser.post("/launch/odd_form/", sent)
        assert answer.status_code == 302, answer.content.decode()
        batch = Batch.objects.get(pk=answer.headers["Location"].split("/")[2])
        assert batch.parameters == STORED
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


def test_a_schedule_keeps_the_defaults_and_launches_them(browser: Client, operator: User, odd_form: None) -> None:
    form = sent_unchanged(browser.get("/launch/odd_form/").content.decode())
    sent = {name: form[name] for name in form if "-" in name}
    page = browser.post("/launch/odd_form/schedule/", sent | {"format": "csv", "text": "country\nde"})
    kept = StoredLaunch.from_token(launch_token(page.content.decode()))
    assert kept.data["parameters"] == STORED
    upload = Upload.objects.get()
    schedule = Schedule.objects.create(name="Daily", request=kept.data, item_count=1, made_by=operator, upload=upload)
    request = request_of(schedule, DueLaunch(schedule.pk, datetime(2026, 1, 31, tzinfo=UTC), "run"))
    batch = launch(operator, request).batch
    (result,) = run_items(get_processor("odd_form").function, [{"country": "de"}], batch.parameters)
    assert result.result == "2026-01-31, -1 day, 22:30:00"


def test_a_saved_definition_is_checked_and_launched_with_such_parameters(browser: Client, odd_form: None) -> None:
    text = "kind: pool\nworkers: 1\nprocessor: odd_form\nparameters: {day: 2026-02-01, rights: 1, size: [1, 2]}\n"
    new = "/definitions/new/"
    refused = browser.post(new, {"name": "Odd", "text": text.replace("[1, 2]", "[1, 3]")})
    assert refused.status_code == 422
    assert "parameters.size" in refused.content.decode()
    assert browser.post(new, {"name": "Odd", "text": text}).status_code == 302
    version = DefinitionVersion.objects.get()
    address = f"/launch/definition/?definition={version.pk}"
    form = sent_unchanged(browser.get(address).content.decode())
    sent = {name: form[name] for name in form if "-" in name} | {"format": "csv", "text": "country\nde"}
    answer = browser.post(address, sent)
    assert answer.status_code == 302, answer.content.decode()
    definition = definition_of(version.pk)
    assert isinstance(definition, Pool)
    bound = get_processor("odd_form").bind(definition.parameters)
    assert bound.parameters == Options(day=date(2026, 2, 1), rights=Rights.READ, size=Size.SMALL)
