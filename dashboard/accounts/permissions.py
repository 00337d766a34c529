"""The only access policy: whoever is logged in may view; operators may launch batches and act on them."""

from __future__ import annotations

from typing import TypeGuard

from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import PermissionDenied
from django.utils.translation import gettext_lazy

VIEWERS = "viewer"
OPERATORS = "operator"

Person = User | AnonymousUser

VIEWER_EXPLANATION = gettext_lazy("Read-only: ask for the operator role.")


def may_view(person: Person | None) -> TypeGuard[User]:
    """Whether a person may view batches: anyone who is logged in and active."""
    return person is not None and person.is_authenticated and person.is_active


def may_operate(person: Person | None) -> TypeGuard[User]:
    """Whether a person may launch batches and act on them: operators and superusers."""
    if not may_view(person):
        return False
    return person.is_superuser or person.groups.filter(name=OPERATORS).exists()


def require_operator(person: Person | None) -> User:
    """Return the person. Raises PermissionDenied for anyone who may not operate."""
    if not may_operate(person):
        raise PermissionDenied(VIEWER_EXPLANATION)
    return person
