"""Under which API token a person acts in this request: their rights are the token's, and the audit log names it."""

from __future__ import annotations

from django.contrib.auth.models import AnonymousUser, User

from dashboard.models import ApiToken

_ATTRIBUTE = "_acting_token"


def act_under(person: User, token: ApiToken) -> User:
    """Return the person, who acts under a token from now on."""
    setattr(person, _ATTRIBUTE, token)
    return person


def token_of(person: User | AnonymousUser | None) -> ApiToken | None:
    """Return the token under which a person acts; None in a browser."""
    found: ApiToken | None = getattr(person, _ATTRIBUTE, None)
    return found


def token_name(person: User | AnonymousUser | None) -> str:
    """Return the name of that token, for the audit log; empty in a browser."""
    token = token_of(person)
    return token.name if token is not None else ""
