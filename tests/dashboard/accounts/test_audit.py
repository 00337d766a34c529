"""The audit log says what came of an action, also where it failed in a way that nobody expected."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from temporalio.service import RPCStatusCode

from dashboard.accounts.audit import audited
from dashboard.errors import OperationError
from dashboard.models import AuditEntry
from orchestration.temporal.commands import OutcomeUnknown
from orchestration.temporal.connection import (
    BatchNotRunning,
    HistoryGone,
    StateTooLarge,
    TemporalBusy,
    TemporalRefused,
    TemporalUnavailable,
)
from tests.support.builders import MakeBatch

pytestmark = pytest.mark.django_db

UNTOUCHED = "Nothing was changed"


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (TemporalUnavailable("Can't reach Temporal."), 503, UNTOUCHED),
        (TemporalBusy("A limit of Temporal is reached."), 503, UNTOUCHED),
        (TemporalRefused("Refused.", RPCStatusCode.FAILED_PRECONDITION), 409, UNTOUCHED),
        (TemporalRefused("Refused.", RPCStatusCode.INVALID_ARGUMENT), 422, UNTOUCHED),
        (TemporalRefused("Refused.", RPCStatusCode.PERMISSION_DENIED), 502, UNTOUCHED),
        (HistoryGone("Gone."), 409, "launch it again"),
        (StateTooLarge(3_000_000), 409, "3,000,000 bytes"),
        (BatchNotRunning("Not running."), 409, "not running"),
        (OutcomeUnknown("Temporal has not answered in time."), 504, "not known whether"),
    ],
)
def test_an_error_of_temporal_is_recorded_and_told_as_what_it_is(
    operator: User, make_batch: MakeBatch, error: Exception, status: int, said: str
) -> None:
    batch = make_batch()
    with pytest.raises(OperationError) as raised, audited(operator, batch, "pause"):
        raise error
    outcome = AuditEntry.objects.filter(batch=batch, action="pause").get().outcome
    assert raised.value.status_code == status
    assert said in raised.value.message
    assert outcome.startswith("Not known yet: " if status == 504 else "Failed: ")
    assert (UNTOUCHED in outcome) == (UNTOUCHED in raised.value.message)


def test_an_error_that_nobody_expected_is_not_recorded_as_accepted(operator: User, make_batch: MakeBatch) -> None:
    batch = make_batch()
    with pytest.raises(KeyError), audited(operator, batch, "pause"):
        raise KeyError("window")
    assert AuditEntry.objects.get(batch=batch, action="pause").outcome == "Failed: KeyError: 'window'"
