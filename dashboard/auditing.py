"""Auditing: whatever a person does to a batch leaves an entry with its outcome, and fails in words for that person."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.utils.translation import gettext as _

from dashboard import live
from dashboard.models import AuditEntry, Batch
from dashboard.wording import Words
from orchestration.connection import BatchNotRunning, BatchRunning, TemporalUnavailable


class OperationError(Exception):
    """Why nothing was done: a message for a person and an HTTP status."""

    def __init__(self, message: Words, status_code: int) -> None:
        super().__init__(message)
        self.message = str(message)
        self.status_code = status_code


@contextmanager
def audited(person: User, batch: Batch, action: str, scope: str) -> Iterator[AuditEntry]:
    """Write an audit entry with the outcome of what is done inside, and turn its errors into OperationErrors."""
    entry = AuditEntry(batch=batch, person=person, action=action, scope=scope[:200], outcome="Accepted.")
    try:
        yield entry
    except (OperationError, BatchNotRunning, BatchRunning, TemporalUnavailable) as error:
        problem = _problem(error)
        entry.outcome = f"Not done: {problem.message}"
        raise problem from error
    finally:
        entry.save()


def _problem(error: OperationError | BatchNotRunning | BatchRunning | TemporalUnavailable) -> OperationError:
    if isinstance(error, OperationError):
        return error
    if isinstance(error, BatchRunning):
        return OperationError(str(error), 409)
    if isinstance(error, BatchNotRunning):
        return OperationError(_("The batch is not running."), 409)
    return OperationError(_("%(error)s Nothing was changed; try again in a moment.") % {"error": error}, 503)


def ring(batch: Batch) -> None:
    """Tell who looks at a batch that it has changed."""
    async_to_sync(live.ring)(batch.pk)
