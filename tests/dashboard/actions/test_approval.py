"""With four eyes nobody approves what they have launched, themselves or by a schedule."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from dashboard.accounts.api_tokens import create_token
from dashboard.accounts.audit import record
from dashboard.actions.approval import may_approve, needs_four_eyes
from dashboard.definitions import saving
from dashboard.models import Batch, Hold, Schedule
from orchestration.gateway import Gateway
from orchestration.plan.plan import Plan
from orchestration.processors import catalogue
from tests.support.builders import MakeBatch, make_person

pytestmark = pytest.mark.django_db

STEPS = """
kind: steps
steps:
  - {name: check, approval: {title: Release it?, four_eyes: %s}}
"""


@pytest.fixture
def decided(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bool, str]]:
    """What Temporal was told."""
    told = list[tuple[bool, str]]()

    async def decide(self: object, batch_id: str, *, approved: bool, person: str, mark: str = "") -> None:
        told.append((approved, person))

    monkeypatch.setattr(Gateway, "decide", decide)
    return told


@pytest.fixture
def held(make_batch: MakeBatch) -> Batch:
    """A batch of the operator that waits for approval by somebody else."""
    batch = make_batch(1, approval=True, four_eyes=True)
    Batch.objects.filter(pk=batch.pk).update(held_kind=Hold.APPROVAL, status="held")
    batch.refresh_from_db()
    return batch


def browser_of(person: User) -> Client:
    browser = Client()
    browser.force_login(person)
    return browser


def by_page(person: User, batch: Batch, approved: str) -> int:
    return browser_of(person).post(f"/batches/{batch.pk}/decide/", {"approved": approved}).status_code


def by_api(person: User, batch: Batch, approved: str) -> int:
    token = {"Authorization": f"Bearer {create_token(person, approved)}"}
    body = {"approved": approved == "yes"}
    path = f"/api/v1/batches/{batch.pk}/decide"
    return Client().post(path, body, "application/json", headers=token).status_code


@pytest.mark.parametrize("ask", [by_page, by_api])
def test_who_launched_may_reject_and_not_approve(
    operator: User, held: Batch, decided: list[tuple[bool, str]], ask: Callable[[User, Batch, str], int]
) -> None:
    assert ask(operator, held, "yes") == 403
    assert decided == []
    assert "four eyes" in held.audit.get(action="approve").outcome
    assert ask(make_person("otto"), held, "yes") < 400
    assert ask(operator, held, "no") < 400
    assert decided == [(True, "otto"), (False, "olga")]


def test_the_page_offers_it_to_others_alone(operator: User, held: Batch) -> None:
    button = 'name="approved" value="yes"'
    assert button not in browser_of(operator).get(f"/batches/{held.pk}/").content.decode()
    assert button in browser_of(make_person("otto")).get(f"/batches/{held.pk}/").content.decode()


def test_who_made_changed_or_triggered_the_schedule_has_launched_its_batches(operator: User, held: Batch) -> None:
    schedule = Schedule.objects.create(name="Nightly", request={"processor": "x"}, item_count=1, made_by=operator)
    edited, triggered, paused = (make_person(name) for name in ("edith", "trish", "paul"))
    for person, action in ((edited, "edit"), (triggered, "trigger"), (paused, "pause")):
        record(person, schedule, action)
    batch = Batch.objects.get(pk=held.pk)
    batch.schedule = schedule
    batch.created_at = schedule.entries.order_by("-at")[0].at
    assert [may_approve(person, batch) for person in (operator, edited, triggered, paused)] == [False] * 3 + [True]


def test_without_four_eyes_an_operator_approves_their_own(operator: User, make_batch: MakeBatch) -> None:
    assert may_approve(operator, make_batch(1, approval=True))


@pytest.mark.parametrize("wanted", [True, False])
def test_a_step_of_a_definition_may_need_four_eyes(operator: User, make_batch: MakeBatch, *, wanted: bool) -> None:
    catalogue.load()
    batch = make_batch(1)
    batch.definition = saving.create(operator, "Release", STEPS % str(wanted).lower(), "")
    assert needs_four_eyes(batch) is wanted


def test_four_eyes_need_a_gate_that_silence_does_not_open() -> None:
    with pytest.raises(ValueError, match="Four eyes requires"):
        Plan(four_eyes=True)
    checked = saving.check(STEPS.replace("%s", "true, on_timeout: approve"))
    assert ["silence" in error.message for error in checked.errors] == [True]
