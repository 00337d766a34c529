"""API tokens: shown once when they are created, and stored as a digest."""

from __future__ import annotations

import hashlib
import secrets

from django.contrib.auth.models import User
from django.utils import timezone

from dashboard.models import ApiToken

PREFIX = "canopy_"


def create_token(person: User, name: str) -> str:
    """Create a token for a person and return it, which is the only time it can be read."""
    token = PREFIX + secrets.token_urlsafe(32)
    ApiToken.objects.create(person=person, name=name, digest=_digest(token))
    return token


def person_of(token: str) -> User | None:
    """Return the active person to whom a token belongs, if any, and record its use."""
    found = ApiToken.objects.select_related("person").filter(digest=_digest(token), person__is_active=True).first()
    if found is None:
        return None
    ApiToken.objects.filter(pk=found.pk).update(used_at=timezone.now())
    return found.person


def owner_of(token: str) -> int | None:
    """Return the id of the active person to whom a token belongs, if any, without recording a use."""
    return (
        ApiToken.objects.filter(digest=_digest(token), person__is_active=True)
        .values_list("person_id", flat=True)
        .first()
    )


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
