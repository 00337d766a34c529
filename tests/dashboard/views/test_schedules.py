"""Schedules while Temporal is unreachable: stored data is shown, actions fail, and forms keep their input."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from dashboard.models import Batch, Schedule
from orchestration.plan.plan import Plan
from orchestration.processors import catalogue
from tests.support.forms import launch_form, launch_token, schedule_form

pytestmark = pytest.mark.django_db

AWAY = "Can't reach Temporal"
ON_A_PAGE = "Can&#x27;t reach Temporal"


@pytest.fixture(autouse=True)
def loaded_catalogue(temporal_away: None) -> None:
    """Register the processors that schedules name."""
    catalogue.load()


@pytest.fixture
def schedule(operator: User) -> Schedule:
    """A schedule that was made while Temporal was there."""
    source = {"kind": "count", "upload": None, "name": "", "key": "", "left_out": 0}
    plan = Plan().model_dump(mode="json")
    request = {"processor": "simulate", "parameters": {}, "plan": plan, "label": "", "source": source}
    return Schedule.objects.create(name="Nightly", request=request, item_count=3, made_by=operator)


def test_the_pages_show_stored_data_and_say_that_the_rest_is_unknown(logged_in: Client, schedule: Schedule) -> None:
    for path in ("/schedules/", f"/schedules/{schedule.pk}/"):
        answer = logged_in.get(path)
        assert answer.status_code == 200
        assert "Nightly" in answer.content.decode()
        assert ON_A_PAGE in answer.content.decode()


def test_an_empty_list_says_how_to_start(logged_in: Client) -> None:
    assert "No schedules yet" in logged_in.get("/schedules/").content.decode()


def test_a_new_schedule_is_not_created_and_the_form_is_kept(logged_in: Client) -> None:
    page = logged_in.post("/launch/simulate/schedule/", launch_form()).content.decode()
    assert ON_A_PAGE in page
    answer = logged_in.post("/schedules/new/", schedule_form(launch=launch_token(page), note="typed"))
    assert answer.status_code == 503
    assert ON_A_PAGE in answer.content.decode()
    assert 'value="typed"' in answer.content.decode()
    assert Schedule.objects.count() == 0
    assert ON_A_PAGE in logged_in.post("/schedules/preview/", schedule_form()).content.decode()


@pytest.mark.parametrize("action", ["pause", "resume", "trigger", "delete"])
def test_an_action_reports_that_nothing_was_done(logged_in: Client, schedule: Schedule, action: str) -> None:
    answer = logged_in.post(f"/schedules/{schedule.pk}/{action}/", headers={"HX-Request": "true"})
    assert answer.status_code == 503
    assert "Nothing was changed; try again in a moment." in answer.content.decode()
    schedule.refresh_from_db()
    assert schedule.deleted_at is None
    assert "Failed: " in schedule.entries.get().outcome


def test_the_edit_form_sends_back_to_the_page(logged_in: Client, schedule: Schedule) -> None:
    answer = logged_in.get(f"/schedules/{schedule.pk}/edit/", follow=True)
    assert answer.redirect_chain == [(f"/schedules/{schedule.pk}/", 302)]
    assert ON_A_PAGE in answer.content.decode()
    assert logged_in.post(f"/schedules/{schedule.pk}/edit/", schedule_form()).status_code == 503


def test_the_api_answers_503(logged_in: Client, schedule: Schedule) -> None:
    for path in ("/api/v1/schedules", f"/api/v1/schedules/{schedule.pk}"):
        assert logged_in.get(path).status_code == 503
        assert AWAY in logged_in.get(path).json()["detail"]
    assert Batch.objects.count() == 0
