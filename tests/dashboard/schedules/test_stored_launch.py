"""Invalid schedules are refused at their fields, in API and form, and nothing is created."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.forms import QUICK, launch_form, launch_token, schedule_form
from tests.support.http_browser import http_browser
from tests.support.stack import Stack


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"cron": "0 0 30 2 *"}, "cron"),
        ({"cron": "61 * * * *"}, "cron"),
        ({"cron": "every day"}, "cron"),
        ({"cron": "0 7 * * *", "interval": 60}, "cron"),
        ({"cron": "0 7 * * *", "time_zone": "Middle/Earth"}, "time_zone"),
        ({"interval": 0.5}, "interval"),
        ({"interval": 60, "catchup_window": 1}, "catchup_window"),
        ({"interval": 60, "name": " "}, "name"),
        ({"interval": 60, "overlap": "maybe"}, "overlap"),
        ({"interval": 60, "plan": {"window": 0}}, "plan.window"),
        ({"interval": 60, "count": None}, "items"),
    ],
)
def test_an_invalid_schedule_is_refused_at_its_field(stack: Stack, given: dict[str, Any], field: str) -> None:
    body = {"name": "bad", "processor": "simulate", "parameters": QUICK, "count": 1, **given}
    answer = stack.api("POST", "/schedules", body)
    assert answer.status_code == 422, answer.text
    assert list(answer.json()["errors"]) == [field]
    assert "bad" not in [each["name"] for each in stack.api("GET", "/schedules").json()]


def test_a_cron_that_never_matches_is_refused_in_the_form_which_keeps_its_input(stack: Stack) -> None:
    browser = http_browser(stack)
    launch = launch_token(browser.submit("/launch/simulate/schedule/", launch_form()).text)
    bad = schedule_form(launch=launch, repeat="cron", cron="0 0 30 2 *", note="typed")
    for page in (browser.submit("/schedules/new/", bad), browser.submit("/schedules/preview/", bad)):
        assert "This time never comes: there is no such date." in page.text
    page = browser.submit("/schedules/new/", bad)
    assert page.status_code == 422
    assert 'value="0 0 30 2 *"' in page.text
    assert 'value="typed"' in page.text
    nonsense = browser.submit("/schedules/new/", schedule_form(launch=launch, repeat="cron", cron="61 * * * *"))
    assert "Minute is not in range [0-59]." in nonsense.text
    assert browser.submit("/schedules/new/", schedule_form(launch="forged")).url.path == "/launch/"


def test_an_invalid_launch_form_is_not_scheduled(stack: Stack) -> None:
    page = http_browser(stack).submit("/launch/simulate/schedule/", launch_form(**{"plan-window": 0}))
    assert page.status_code == 422
    assert "Enter 1 or more." in page.text
