"""The form of a plan: three questions, the rest by group, and fields that apply only with other choices."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import QueryDict

from dashboard.forms.plan_form import CONDITIONS, FIRST, PLACEHOLDERS, advanced, changed, plan_form
from dashboard.forms.pydantic_forms import PydanticForm
from orchestration.plan.choices import FailurePolicy
from orchestration.plan.plan import Plan
from tests.support.html_forms import sent_unchanged
from tests.support.stack import ROOT


def bound(**given: Any) -> PydanticForm:
    data = QueryDict(mutable=True)
    data.update({f"plan-{name}": str(value) for name, value in given.items()})
    return plan_form(data)


def test_each_field_is_in_one_question_or_group() -> None:
    form = plan_form()
    rest = [field.name for _name, fields in advanced(form) for field in fields]
    assert sorted([*rest, *(name for names in FIRST.values() for name in names)]) == sorted(Plan.model_fields)


def test_a_sheet_hides_what_does_not_apply() -> None:
    sheet = (ROOT / "static" / "css" / "launch.css").read_text()
    rules = sheet[sheet.index("/* What applies only") :]
    assert [name for name, _ in CONDITIONS.values() if f".if-{name}" not in rules] == []
    assert [name for name in PLACEHOLDERS if f"#id_plan-{name}:placeholder-shown" not in rules] == []


def test_an_unchanged_form_is_the_default_plan() -> None:
    form = plan_form(sent_unchanged("".join(str(field) for field in plan_form())))
    assert form.is_valid(), form.errors
    assert form.model == Plan()


@pytest.mark.parametrize(
    "hidden",
    [
        {"tolerated_failures": 5},
        {"tolerated_percent": 300},
        {"on_threshold": "roll_back"},
        {"group_delay": 5},
        {"group_delay": "soon"},
        {"four_eyes": "on"},
        {"page_children": 0},
        {"hold_timeout": -1},
    ],
)
def test_what_a_choice_hides_is_not_in_its_way(hidden: dict[str, Any]) -> None:
    form = bound(**hidden, window=7)
    assert form.is_valid(), form.errors
    assert form.model == Plan(window=7)
    (name,) = hidden
    assert str(hidden[name]) in str(form[name]) or hidden[name] in ("on", "roll_back"), "what was typed stays"


def test_what_applies_is_taken_and_checked() -> None:
    form = bound(failure_policy="tolerate", tolerated_failures=5, on_threshold="hold", hold_timeout=60)
    assert form.is_valid(), form.errors
    assert form.model == Plan(
        failure_policy=FailurePolicy.TOLERATE, tolerated_failures=5, on_threshold="hold", hold_timeout=60
    )
    assert set(bound(failure_policy="tolerate", tolerated_percent=300).errors) == {"tolerated_percent"}
    assert set(bound(group_size=3, group_delay="soon").errors) == {"group_delay"}


def test_a_preset_says_how_many_advanced_fields_it_changes() -> None:
    assert changed(plan_form(initial={"window": 3, "group_size": 10, "group_delay": 3})) == 2
    assert changed(plan_form(initial=Plan().model_dump(mode="json"))) == 0
