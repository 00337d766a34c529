"""API tokens: shown once when they are created, stored as a digest, and found again by it."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import timedelta

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from dashboard.accounts.acting import act_under, token_of
from dashboard.accounts.permissions import Person, is_operator, may_operate, may_view, require_operator
from dashboard.errors import FieldErrors
from dashboard.models import ApiToken, TokenKind, TokenRole, TokenUse
from orchestration.contracts.names import CHILD_TASK_QUEUE, DASHBOARD_TASK_QUEUE, SCHEDULE_TASK_QUEUE

PREFIX = "canopy_"

USED_AT_PRECISION = timedelta(minutes=1)
"""How old the last use of a token that is used all the time may be before it is written again."""

RESERVED_QUEUES = (CHILD_TASK_QUEUE, DASHBOARD_TASK_QUEUE, SCHEDULE_TASK_QUEUE)
"""Queues that workers beside the dashboard's database serve, without a token."""

MOST_QUEUES = 50
LONGEST_QUEUE = 200
LONGEST_NAME = 100
TOKENS_LIMIT = 200
"""Valid tokens of one person."""

USES_KEPT = 10_000
"""Uses of a token that stay readable: the newest."""

USES_PRUNED_EVERY = 100
"""Uses, of all tokens, after which the older ones of the token at hand are deleted."""


def create_token(
    person: User,
    name: str,
    kind: str = TokenKind.PERSON,
    *,
    role: str = TokenRole.OWNER,
    queues: Sequence[str] = (),
) -> str:
    """Create a token and return it, which is the only time it can be read."""
    token = PREFIX + secrets.token_urlsafe(32)
    ApiToken.objects.create(person=person, name=name, kind=kind, role=role, queues=list(queues), digest=_digest(token))
    return token


def request_token(
    person: Person | None, name: str, kind: str, role: str, queues: Sequence[str]
) -> tuple[ApiToken, str]:
    """Create a token as a person asks for it, and return it with its text.

    Viewers get tokens of their own, operators those of programs as well; whoever acts under a token gets none that acts
    for a person, which would outlive it. Raises PermissionDenied, FieldErrors.
    """
    owner = _require_person(person)
    if kind != TokenKind.PERSON:
        require_operator(owner)
    elif token_of(owner) is not None:
        raise PermissionDenied(_("Personal tokens can only be created in the browser."))
    name, queues = name.strip(), list(dict.fromkeys(queue.strip() for queue in queues if queue.strip()))
    errors = _errors(owner, name, kind, role, queues)
    if errors:
        raise FieldErrors({field: [reason] for field, reason in errors.items()})
    text = create_token(owner, name, kind, role=role if kind == TokenKind.PERSON else TokenRole.OWNER, queues=queues)
    return ApiToken.objects.get(digest=_digest(text)), text


def shown_tokens(person: Person | None) -> QuerySet[ApiToken]:
    """Return the valid tokens that a person may see and revoke: their own, and as an operator those of programs."""
    owner = _require_person(person)
    of_programs = Q(kind__in=(TokenKind.WORKER, TokenKind.EVENTS)) if may_operate(owner) else Q(pk__in=())
    return ApiToken.objects.filter(Q(person=owner) | of_programs, revoked_at=None).select_related("person")


def _require_person(person: Person | None) -> User:
    if not may_view(person):
        raise PermissionDenied
    return person


def _errors(owner: User, name: str, kind: str, role: str, queues: Sequence[str]) -> dict[str, str]:
    errors = dict[str, str]()
    if not name or len(name) > LONGEST_NAME:
        errors["name"] = _("Enter a name of at most 100 characters.")
    elif valid_tokens(owner).filter(name=name).exists():
        errors["name"] = _("You already have a token with this name. Choose another one.")
    elif valid_tokens(owner).count() >= TOKENS_LIMIT:
        errors["name"] = _("You have too many tokens. Revoke some first.")
    if kind not in TokenKind.values:
        errors["kind"] = _("Choose a kind.")
    if role not in TokenRole.values or (role == TokenRole.OPERATOR and not may_operate(owner)):
        errors["role"] = _("A token may do no more than its owner.")
    if kind == TokenKind.WORKER and (problem := _queues_problem(queues)):
        errors["queues"] = problem
    elif kind in (TokenKind.PERSON, TokenKind.EVENTS) and queues:
        errors["queues"] = _("Only a worker's token has task queues.")
    return errors


def _queues_problem(queues: Sequence[str]) -> str:
    if not queues:
        return _("Enter the task queues that the worker serves.")
    if len(queues) > MOST_QUEUES or any(len(queue) > LONGEST_QUEUE for queue in queues):
        return _("At most 50 task queues of at most 200 characters.")
    if reserved := [queue for queue in queues if queue in RESERVED_QUEUES]:
        return _("The queue %(queue)s is reserved for Canopy.") % {"queue": reserved[0]}
    return ""


def valid_tokens(owner: User) -> QuerySet[ApiToken]:
    """Return a person's tokens that are not revoked."""
    return ApiToken.objects.filter(person=owner, revoked_at=None)


def revoke(token: ApiToken) -> None:
    """Make a token invalid; what it was used for stays readable."""
    ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now())


def token_found(token: str) -> ApiToken | None:
    """Return a valid token by its text, with its person, and record its use; None where there is none.

    A worker's and an events token are valid for as long as who created them is an operator.
    """
    found = _valid(token)
    if found is None:
        return None
    now = timezone.now()
    if found.used_at is None or now - found.used_at > USED_AT_PRECISION:
        ApiToken.objects.filter(pk=found.pk).update(used_at=now)
    act_under(found.person, found)
    return found


def person_of(token: str) -> User | None:
    """Return the person for whom a valid token acts, within its limits; None for those of workers and events."""
    found = token_found(token)
    return found.person if found is not None and found.kind == TokenKind.PERSON else None


def note_use_as_worker(token: ApiToken) -> None:
    """Remember that a worker or plugin uses a person's token, which its page warns about."""
    now = timezone.now()
    if token.used_as_worker_at is None or now - token.used_as_worker_at > USED_AT_PRECISION:
        ApiToken.objects.filter(pk=token.pk).update(used_as_worker_at=now)


def note_use(token: ApiToken, action: str, subject: str, status: int, address: str) -> None:
    """Record what a token was used for. What was before its newest USES_KEPT or so is forgotten."""
    use = TokenUse.objects.create(
        token=token, action=action[:200], subject=subject[:200], status=status, address=address[:45]
    )
    if use.pk % USES_PRUNED_EVERY == 0:
        uses = TokenUse.objects.filter(token=token)
        last = uses.order_by("-pk").values_list("pk", flat=True)[USES_KEPT : USES_KEPT + 1]
        uses.filter(pk__lte=max(last, default=0)).delete()


def holder_of(token: str) -> str | None:
    """Return a name for whoever a valid token stands for, without recording a use: its person, or a program alone."""
    found = _valid(token)
    if found is None:
        return None
    return f"person {found.person_id}" if found.kind == TokenKind.PERSON else f"token {found.pk}"


def _valid(token: str) -> ApiToken | None:
    tokens = ApiToken.objects.select_related("person")
    found = tokens.filter(digest=_digest(token), revoked_at=None, person__is_active=True).first()
    return None if found is None or (found.kind != TokenKind.PERSON and not is_operator(found.person)) else found


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
