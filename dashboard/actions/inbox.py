"""What people make of batches that require action: take care of them, or put them aside. Both are audited."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from dashboard.accounts.audit import record
from dashboard.accounts.permissions import Person, operators, require_operator
from dashboard.errors import OperationError
from dashboard.models import Batch, InboxEntry, Need


def dismiss(person: Person, batch: Batch, need: str) -> None:
    """Take a batch out of what requires action, until it needs something again.

    Raises PermissionDenied, OperationError (422 for an unknown need).
    """
    operator = require_operator(person)
    if need not in Need.values:
        raise OperationError(_("There is nothing to dismiss."), 422)
    values = {"dismissed_need": need, "dismissed_at": timezone.now()}
    with transaction.atomic():
        InboxEntry.objects.update_or_create(batch=batch, defaults=values)
        record(operator, batch, "dismiss", str(Need(need).value))


def assign(person: Person, batch: Batch, name: str) -> User | None:
    """Assign a batch to an operator by user name, or with an empty one to nobody, and return whom.

    Raises PermissionDenied, OperationError (422 for anybody who may not act on it).
    """
    operator = require_operator(person)
    assignee = operators().filter(username=name).first() if name else None
    if name and assignee is None:
        raise OperationError(_("%(name)s is not an operator.") % {"name": name[:150]}, 422)
    with transaction.atomic():
        entry, _created = InboxEntry.objects.select_for_update().get_or_create(batch=batch)
        if entry.assignee != assignee:
            entry.assignee = assignee
            entry.save(update_fields=["assignee"])
            record(operator, batch, "assign", f"to {assignee.get_username()}" if assignee else "to nobody")
    return assignee
