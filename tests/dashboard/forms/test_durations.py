"""Durations in forms: a number and its unit, plain seconds as before, and settings with units and titles."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from django.http import QueryDict
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from dashboard.forms.pydantic_forms import PydanticForm, form_of
from dashboard.forms.shown_values import shown_values
from dashboard.i18n.formatting import quantity
from orchestration.plan.plan import Plan
from orchestration.processors.builtin.simulate import SimulateParameters
from orchestration.processors.builtin.web_page import PageParameters
from orchestration.processors.catalogue import load, processors
from orchestration.processors.form_hints import DURATION
from tests.support.html_forms import sent_unchanged


class Waits(BaseModel):
    """Durations of each type."""

    wait: float = Field(default=60.0, gt=0, le=86_400, json_schema_extra=DURATION)
    whole: int = Field(default=90, ge=30, json_schema_extra=DURATION)
    limit: Annotated[float | None, Field(json_schema_extra=DURATION)] = None


def bound(model: type[BaseModel], **given: str) -> PydanticForm:
    data = QueryDict(mutable=True)
    data.update({f"parameters-{name.replace('__', '.')}": value for name, value in given.items()})
    return form_of(model)(data, prefix="parameters")


@settings(max_examples=60, deadline=None)
@given(
    st.floats(0.001, 86_400) | st.sampled_from([1, 60, 90, 3_600, 5_400, 86_400, 0.1, 1e-05]), st.integers(30, 10**9)
)
def test_an_unchanged_form_sends_the_same_seconds(wait: float, whole: int) -> None:
    shown = form_of(Waits)(prefix="parameters", initial={"wait": wait, "whole": whole})
    form = form_of(Waits)(sent_unchanged("".join(str(field) for field in shown)), prefix="parameters")
    assert form.is_valid(), form.errors
    assert form.model == Waits(wait=wait, whole=whole)


def test_a_number_is_shown_with_its_largest_unit_and_taken_with_any() -> None:
    page = "".join(str(field) for field in form_of(Plan)(prefix="plan"))
    assert "86400" not in page
    assert 'name="plan-hold_timeout" value="1"' in page
    form = bound(Waits, wait="1.5", wait__unit="h", whole="2", whole__unit="min", limit="", limit__unit="d")
    assert form.is_valid(), form.errors
    assert form.model == Waits(wait=5_400, whole=120, limit=None)


def test_plain_seconds_are_taken_as_ever() -> None:
    form = bound(Waits, wait="0.25", whole="45")
    assert form.is_valid(), form.errors
    assert form.model == Waits(wait=0.25, whole=45)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"wait": "2", "wait__unit": "d"}, "Enter 1 d or less."),
        ({"wait": "0"}, "Enter more than 0 s."),
        ({"whole": "29"}, "Enter 30 s or more."),
        ({"wait": "1", "wait__unit": "weeks"}, "Choose a unit."),
        ({"wait": "soon"}, "Enter a number."),
        ({"wait": ""}, "This field is required."),
    ],
)
def test_what_is_wrong_is_said_with_units_and_what_was_typed_stays(given: dict[str, str], reason: str) -> None:
    form = bound(Waits, **given)
    (name,) = form.errors
    assert form.errors[name] == [reason]
    assert f'value="{given[name]}"' in str(form[name]) or not given[name]


def test_every_duration_has_a_unit() -> None:
    load()
    models: list[Any] = [Plan, *(each.parameters_model for each in processors().values())]
    named = {
        f"{model.__name__}.{name}": info
        for model in models
        for name, info in model.model_fields.items()
        if "econds" in (info.description or "") or name.endswith(("timeout", "backoff", "_delay", "cooldown", "_idle"))
    }
    without = [name for name, info in named.items() if (info.json_schema_extra or {}).get("unit") != "seconds"]
    assert len(named) > 10
    assert [name for name in without if "per_second" not in name] == []
    assert (form_of(_web_page_model())(prefix="p"))["timeout"].value().unit == "s"


def _web_page_model() -> type[BaseModel]:
    assert PageParameters.__name__
    return processors()["web_page"].parameters_model


def test_settings_are_shown_with_titles_units_and_words() -> None:
    shown = dict(shown_values(Plan, Plan(item_timeout=90, group_size=None).model_dump(mode="json")))
    assert shown["Hold timeout"] == "1 d"
    assert shown["Timeout"] == "90 s"
    assert shown["Wait for approval"] == "No"
    assert shown["When children fail"] == "Collect"
    assert shown["Group size"] == ""
    assert dict(shown_values(SimulateParameters, {"seconds_from": 0.5, "gone": 3}))["Min duration"] == "0.5 s"
    assert quantity(3_600) == "1 h"
