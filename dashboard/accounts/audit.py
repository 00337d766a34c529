"""The audit log of batches and schedules: the one place that writes its entries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.contrib.auth.models import User

from dashboard.errors import NotKnownYet, OperationError, temporal_errors
from dashboard.models import AuditEntry, Batch, Schedule, ScheduleEntry
from orchestration.errors.texts import named

ACCEPTED = "Accepted."


def counted(number: int, one: str, many: str) -> str:
    """Return a number with its noun, for the scope of an entry: entries are stored in English."""
    return f"{number:,} {one if number == 1 else many}"


def record(person: User, subject: Batch | Schedule, action: str, scope: str = "", outcome: str = ACCEPTED) -> None:
    """Write an entry for something that a person did; a scope that is too long is cut."""
    _entry(person, subject, action, scope, outcome).save()


@contextmanager
def audited(
    person: User, subject: Batch | Schedule, action: str, scope: str = ""
) -> Iterator[AuditEntry | ScheduleEntry]:
    """Write an entry with the outcome of the body, whose errors from Temporal become OperationErrors."""
    entry = _entry(person, subject, action, scope, ACCEPTED)
    try:
        with temporal_errors():
            yield entry
    except NotKnownYet as error:
        entry.outcome = f"Not known yet: {error.message}"
        raise
    except OperationError as error:
        entry.outcome = f"Failed: {error.message}"
        raise
    except BaseException as error:
        entry.outcome = f"Failed: {named(error)}"
        raise
    finally:
        entry.save()


def _entry(
    person: User, subject: Batch | Schedule, action: str, scope: str, outcome: str
) -> AuditEntry | ScheduleEntry:
    if isinstance(subject, Batch):
        limit = AuditEntry._meta.get_field("scope").max_length
        return AuditEntry(batch=subject, person=person, action=action, scope=scope[:limit], outcome=outcome)
    limit = ScheduleEntry._meta.get_field("scope").max_length
    return ScheduleEntry(schedule=subject, person=person, action=action, scope=scope[:limit], outcome=outcome)
