"""What operators decide about retention: rules, which batches are kept whatever these say, and a run at once."""

from __future__ import annotations

import logging

from asgiref.sync import async_to_sync
from django.utils.translation import gettext as _

from dashboard.accounts.audit import record
from dashboard.accounts.permissions import Person, require_operator
from dashboard.errors import FieldErrors, OperationError, temporal_errors
from dashboard.models import CLOSED_STATUSES, Batch, RetentionRule
from dashboard.temporal import gateway

log = logging.getLogger(__name__)

MOST_DAYS = 36_500
MOST_RULES = 200


def add_rule(
    person: Person, *, days: int | None, processor: str = "", tag: str = "", label: str = "", outcome: str = ""
) -> RetentionRule:
    """Add a rule; `days` is None to keep for ever. Raises PermissionDenied, FieldErrors."""
    operator = require_operator(person)
    errors = dict[str, str]()
    if days is not None and not 1 <= days <= MOST_DAYS:
        errors["days"] = _("Enter a number of days from 1 to 36,500.")
    if outcome and outcome not in CLOSED_STATUSES:
        errors["outcome"] = _("There is no such outcome.")
    conditions = {"processor": processor.strip(), "tag": tag.strip(), "label": label.strip(), "outcome": outcome}
    if RetentionRule.objects.filter(**conditions).exists():
        errors["processor"] = _("There is a rule for these batches. Remove it first.")
    if RetentionRule.objects.count() >= MOST_RULES:
        errors["processor"] = _("There are too many rules.")
    if errors:
        raise FieldErrors(errors)
    rule = RetentionRule.objects.create(days=days, made_by=operator, **conditions)
    log.info("%s added the retention rule %s.", operator.get_username(), rule)
    return rule


def remove_rule(person: Person, rule: RetentionRule) -> None:
    """Remove a rule. Raises PermissionDenied."""
    operator = require_operator(person)
    log.info("%s removed the retention rule %s.", operator.get_username(), rule)
    rule.delete()


def set_keep(person: Person, batch: Batch, *, keep: bool) -> None:
    """Keep a batch whatever the rules say, or no longer. Raises PermissionDenied, OperationError (410)."""
    operator = require_operator(person)
    if batch.keep is keep:
        return
    if not Batch.objects.filter(pk=batch.pk).update(keep=keep):
        raise OperationError(_("This batch was deleted: its retention is over. Nothing was changed."), 410)
    record(operator, batch, "keep" if keep else "do not keep", outcome="")


def run_now(person: Person) -> None:
    """Have what is due deleted now, in the background. Raises PermissionDenied, OperationError."""
    operator = require_operator(person)
    with temporal_errors():
        async_to_sync(gateway().prune_schedule.run_now)(operator.get_username())
    log.info("%s started a run of retention.", operator.get_username())
