"""Schedules while Temporal is unreachable: stored data is shown, actions fail, and forms keep their input."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from dashboard.models import Batch, Schedule
from orchestration.plan.plan import Plan
from orchestration.processors import catalogue
from tests.support import builders
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


def test_what_it_launches_is_shown_with_titles_and_units_and_can_be_edited(
    logged_in: Client, schedule: Schedule
) -> None:
    address = f"/schedules/{schedule.pk}/launch/"
    assert 'name="count" value="3"' in logged_in.get(address).content.decode()
    refused = logged_in.post(address, launch_form(format="count", count=5, **{"plan-window": 0}))
    assert refused.status_code == 422
    assert "Nothing was saved." in refused.content.decode()
    given = {"plan-hold_timeout": 2, "plan-hold_timeout.unit": "h", "parameters-seconds_to": 1.5, "plan-approval": "on"}
    answer = logged_in.post(address, launch_form(format="count", count=5, **given))
    assert answer.headers["Location"] == f"/schedules/{schedule.pk}/"
    schedule.refresh_from_db()
    assert (schedule.item_count, schedule.request["parameters"]["seconds_to"]) == (5, 1.5)
    assert schedule.request["plan"]["hold_timeout"] == 7_200
    assert "Items: 3 → 5" in schedule.entries.get().scope
    page = logged_in.get(f"/schedules/{schedule.pk}/").content.decode()
    for shown in ("Max duration</dt><dd>1.5 s", "Hold timeout</dt><dd>2 h", "Wait for approval</dt><dd>Yes"):
        assert shown in page
    for raw in ("seconds_to</dt>", "7200", "False"):
        assert raw not in page


def test_a_viewer_cannot_edit_what_it_launches(client: Client, schedule: Schedule) -> None:
    client.force_login(builders.make_viewer())
    assert client.get(f"/schedules/{schedule.pk}/launch/").status_code == 403
    assert (
        f"{schedule.pk}/launch/" not in client.get(f"/schedules/{schedule.pk}/").content.decode().partition("<main")[2]
    )


@pytest.mark.parametrize(
    ("address", "page"),
    [
        ("/launch/simulate/schedule/", "/launch/simulate/"),
        ("/launch/simulate/preview/", "/launch/simulate/"),
        ("/launch/definition/7/schedule/", "/launch/definition/7/"),
        ("/schedules/preview/", "/schedules/"),
        ("/schedules/new/", "/schedules/"),
        ("/tokens/3/revoke/", "/tokens/"),
        ("/views/", "/"),
    ],
)
def test_an_address_of_a_form_leads_back_to_its_page(logged_in: Client, address: str, page: str) -> None:
    answer = logged_in.get(address, headers={"Accept": "text/html,*/*"})
    assert (answer.status_code, answer.headers["Location"]) == (302, page)
    assert logged_in.get("/api/v1/launch", headers={"Accept": "text/html"}).status_code == 404


def test_a_new_schedule_has_the_time_zone_of_the_installation(logged_in: Client, settings: Settings) -> None:
    settings.CANOPY_TIME_ZONE = "Asia/Tokyo"
    page = logged_in.post("/launch/simulate/schedule/", launch_form()).content.decode()
    assert '<option value="Asia/Tokyo" selected>' in page


def test_the_api_answers_503(logged_in: Client, schedule: Schedule) -> None:
    for path in ("/api/v1/schedules", f"/api/v1/schedules/{schedule.pk}"):
        assert logged_in.get(path).status_code == 503
        assert AWAY in logged_in.get(path).json()["detail"]
    assert Batch.objects.count() == 0
