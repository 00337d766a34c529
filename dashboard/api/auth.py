"""Authentication of the API: a bearer token of a kind that the route takes, or a logged-in browser's session."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest
from ninja.errors import HttpError
from ninja.security import HttpBearer
from ninja.security.base import AuthBase
from ninja.utils import check_csrf

from dashboard.accounts.api_tokens import note_use_as_worker, token_found
from dashboard.accounts.permissions import may_operate, may_view
from dashboard.metrics.requests import note_person
from dashboard.models import ApiToken, TokenKind
from dashboard.server.client_address import client_address, limited_as
from dashboard.server.shared_throttle import SharedThrottle

WRONG_TOKENS = SharedThrottle("wrong-tokens", limit=30, seconds=60)
"""Wrong tokens of one address, over all web processes. A valid token is taken whatever others behind it have sent."""


class TooManyTries(Exception):
    """An address has sent too many wrong tokens; it may send the next in so many seconds."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"Too many wrong tokens from this address: try again in {seconds} s.")
        self.seconds = seconds


class TokenAuth(HttpBearer):
    """A token, as `Authorization: Bearer canopy_…`."""

    kind = TokenKind.PERSON

    def authenticate(self, request: HttpRequest, token: str) -> User | None:
        """Return the person of the token, who acts under it and becomes the user of the request.

        Raises HttpError 403 for a token of another kind, TooManyTries after wrong ones.
        """
        found = token_found(token)
        if found is None:
            _count_wrong(request)
            return None
        request.user = found.person
        note_person(request, found.person)
        request.token = found  # type: ignore[attr-defined]
        if not self.takes(found):
            raise HttpError(403, f"A token of the kind “{found.kind}” does not give access to this.")
        return found.person

    def takes(self, token: ApiToken) -> bool:
        """Whether the route takes a token."""
        return token.kind == self.kind


class _ProgramAuth(TokenAuth):
    """A token of a program. For one release an operator's own does, too: there were no others."""

    def takes(self, token: ApiToken) -> bool:
        """Whether the route takes a token."""
        if token.kind == TokenKind.PERSON and may_operate(token.person):
            note_use_as_worker(token)
            return True
        return token.kind == self.kind


class WorkerAuth(_ProgramAuth):
    """A worker's token."""

    kind = TokenKind.WORKER


class EventsAuth(_ProgramAuth):
    """An events token."""

    kind = TokenKind.EVENTS


class BrowserAuth(AuthBase):
    """The session of the OpenAPI page. Its POSTs need the CSRF token; without a login they get 401 first."""

    openapi_type = "apiKey"
    openapi_in = "cookie"
    openapi_name = settings.SESSION_COOKIE_NAME
    csrf = True
    """Makes the OpenAPI page send the token."""

    def __call__(self, request: HttpRequest) -> User | None:
        """Return the logged-in person."""
        person = request.user
        if not may_view(person):
            return None
        if check_csrf(request) is not None:
            raise HttpError(403, "The CSRF token is missing or wrong.")
        return person


AUTH = [TokenAuth(), BrowserAuth()]


def token_of_request(request: HttpRequest) -> ApiToken | None:
    """Return the valid token with which a request came, whether the route takes it or not."""
    token: ApiToken | None = getattr(request, "token", None)
    return token


def _count_wrong(request: HttpRequest) -> None:
    key = limited_as(client_address(request))
    if not WRONG_TOKENS.take(key):
        raise TooManyTries(WRONG_TOKENS.retry_after(key))
