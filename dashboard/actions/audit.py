"""Auditing: whatever a person does to a batch leaves an entry with its outcome, and fails in words for that person."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.contrib.auth.models import User
from django.utils.translation import gettext as _

from dashboard.errors import OperationError
from dashboard.models import AuditEntry, Batch
from orchestration.temporal.connection import BatchNotRunning, BatchRunning, TemporalUnavailable


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
