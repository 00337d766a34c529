"""The audit log of batches and schedules: the one place that writes its entries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from django.contrib.auth.models import User
from django.utils import timezone
from django.utils.translation import gettext as _

from dashboard.accounts.acting import token_name
from dashboard.errors import NotKnownYet, OperationError, temporal_errors
from dashboard.ids import new_id
from dashboard.models import AuditEntry, Batch, Schedule, ScheduleEntry, UnansweredCommand
from orchestration.errors.texts import named

ACCEPTED = "Accepted."


def counted(number: int, one: str, many: str) -> str:
    """Return a number with its noun, for the scope of an entry: entries are stored in English."""
    return f"{number:,} {one if number == 1 else many}"


def record(person: User, subject: Batch | Schedule, action: str, scope: str = "", outcome: str = ACCEPTED) -> None:
    """Write an entry for something that a person did; a scope that is too long is cut."""
    _entry(person, subject, action, scope, outcome).save()


def command_on(batch: Batch, action: str, scope: str = "") -> UnansweredCommand:
    """Return a command that is not stored yet. Its mark is that of the last one if it repeats one without an answer."""
    last = batch.audit.first()
    is_same = last is not None and (last.action, last.scope) == (action, scope[: _longest_scope(AuditEntry)])
    unanswered = UnansweredCommand.objects.filter(audit=last, settled_at=None).first() if is_same else None
    return UnansweredCommand(batch=batch, mark=unanswered.mark if unanswered is not None else new_id())


@contextmanager
def audited(
    person: User, subject: Batch | Schedule, action: str, scope: str = "", *, command: UnansweredCommand | None = None
) -> Iterator[AuditEntry | ScheduleEntry]:
    """Write an entry with the outcome of the body, whose errors from Temporal become OperationErrors.

    `command` is stored if Temporal does not answer, and looked up later. Raises OperationError (410) for a batch that
    retention is deleting, or has deleted since it was read.
    """
    if isinstance(subject, Batch):
        _hold_off_retention(subject)
    entry = _entry(person, subject, action, scope, ACCEPTED)
    try:
        with temporal_errors():
            yield entry
    except NotKnownYet as error:
        entry.outcome = f"Not known yet: {error.message}"
        _keep(entry, error, command)
        raise
    except OperationError as error:
        entry.outcome = f"Failed: {error.message}"
        raise
    except BaseException as error:
        entry.outcome = f"Failed: {named(error)}"
        raise
    finally:
        entry.save()


def _hold_off_retention(batch: Batch) -> None:
    """Note that somebody acts on a batch, so that retention leaves it alone: both write its row."""
    if not Batch.objects.filter(pk=batch.pk).update(acted_at=timezone.now()):
        raise OperationError(_("This batch was deleted: its retention is over. Nothing was changed."), 410)


def _entry(
    person: User, subject: Batch | Schedule, action: str, scope: str, outcome: str
) -> AuditEntry | ScheduleEntry:
    token = token_name(person)
    if isinstance(subject, Batch):
        scope = scope[: _longest_scope(AuditEntry)]
        name = str(subject)[:200]
        given = {"person": person, "token": token, "action": action, "scope": scope, "outcome": outcome}
        return AuditEntry(batch=subject, batch_name=name, **given)
    scope = scope[: _longest_scope(ScheduleEntry)]
    return ScheduleEntry(schedule=subject, person=person, token=token, action=action, scope=scope, outcome=outcome)


def _longest_scope(model: type[AuditEntry | ScheduleEntry]) -> int | None:
    return model._meta.get_field("scope").max_length


def _keep(entry: AuditEntry | ScheduleEntry, error: NotKnownYet, command: UnansweredCommand | None) -> None:
    """Store what to ask Temporal for, to learn what came of a command."""
    if command is not None and isinstance(entry, AuditEntry) and error.inquiries:
        entry.save()
        command.audit, command.inquiries = entry, [asdict(inquiry) for inquiry in error.inquiries]
        command.save()
