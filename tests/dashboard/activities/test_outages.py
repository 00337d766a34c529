"""An activity that a neighbour's outage fails is tried again soon; other failures keep their own backoff."""

from __future__ import annotations

import pytest
from django.db import OperationalError
from temporalio.exceptions import ApplicationError

from dashboard.activities.deliver import deliver, give_up_delivery
from dashboard.activities.outages import AGAIN_AFTER, tried_again_soon
from orchestration.contracts.dashboard_activities import Notification


@tried_again_soon
async def fail(error: Exception) -> None:
    raise error


async def test_an_outage_of_a_neighbour_is_tried_again_soon() -> None:
    with pytest.raises(ApplicationError) as failed:
        await fail(OperationalError("couldn't get a connection"))
    assert failed.value.next_retry_delay == AGAIN_AFTER
    assert not failed.value.non_retryable


@pytest.mark.parametrize("error", [ValueError("no"), ApplicationError("refused", non_retryable=True)])
async def test_other_failures_stay_as_they_are(error: Exception) -> None:
    with pytest.raises(type(error)) as failed:
        await fail(error)
    assert failed.value is error


@pytest.mark.parametrize("activity", [deliver, give_up_delivery])
async def test_deliveries_are(activity: object, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*given: object, **named: object) -> None:
        raise OperationalError("the database is away")

    monkeypatch.setattr("dashboard.activities.deliver.Delivery.objects.select_related", away)
    monkeypatch.setattr("dashboard.activities.deliver.Delivery.objects.filter", away)
    with pytest.raises(ApplicationError) as failed:
        await activity(Notification("d"))  # type: ignore[operator]
    assert failed.value.next_retry_delay == AGAIN_AFTER
