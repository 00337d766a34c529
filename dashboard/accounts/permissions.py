"""The only access policy: whoever is logged in may view; operators may launch batches and act on them.

An API token narrows that: see `dashboard.models.ApiToken`.
"""

from __future__ import annotations

from typing import TypeGuard

from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy

from dashboard.accounts.acting import token_of
from dashboard.models import TokenKind, TokenRole

VIEWERS = "viewer"
OPERATORS = "operator"

Person = User | AnonymousUser

VIEWER_EXPLANATION = gettext_lazy("Read-only: ask for the operator role.")


def may_view(person: Person | None) -> TypeGuard[User]:
    """Whether a person may view batches: anyone who is logged in and active."""
    return _is_somebody(person) and _acts_as_person(person)


def may_operate(person: Person | None) -> TypeGuard[User]:
    """Whether a person may launch batches and act on them: operators and superusers."""
    if not may_view(person):
        return False
    token = token_of(person)
    return (token is None or token.role != TokenRole.VIEWER) and is_operator(person)


def is_operator(person: User) -> bool:
    """Whether a person has the role, whatever they act under."""
    return person.is_active and (person.is_superuser or person.groups.filter(name=OPERATORS).exists())


def operators() -> QuerySet[User]:
    """Return all who have the role, by name."""
    has_role = Q(is_superuser=True) | Q(groups__name=OPERATORS)
    return User.objects.filter(has_role, is_active=True).distinct().order_by("username")


def require_operator(person: Person | None) -> User:
    """Return the person. Raises PermissionDenied for anyone who may not operate."""
    if not may_operate(person):
        raise PermissionDenied(VIEWER_EXPLANATION)
    return person


def require_reporter(person: Person | None) -> User:
    """Return who reports events of workflows: an events token's owner, or an operator. Raises PermissionDenied."""
    token = token_of(person)
    if token is not None and token.kind == TokenKind.EVENTS and _is_somebody(person) and is_operator(person):
        return person
    return require_operator(person)


def _is_somebody(person: Person | None) -> TypeGuard[User]:
    return person is not None and person.is_authenticated and person.is_active


def _acts_as_person(person: User) -> bool:
    token = token_of(person)
    return token is None or token.kind == TokenKind.PERSON
