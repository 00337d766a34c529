"""Authentication of the API: a bearer token, or the session of a logged-in browser with its CSRF token."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest
from ninja.errors import HttpError
from ninja.security import HttpBearer
from ninja.security.base import AuthBase
from ninja.utils import check_csrf

from dashboard.accounts.api_tokens import person_of
from dashboard.accounts.permissions import may_view


class TokenAuth(HttpBearer):
    """A token, as `Authorization: Bearer canopy_…`."""

    def authenticate(self, request: HttpRequest, token: str) -> User | None:
        """Return the owner of the token and make them the user of the request."""
        person = person_of(token)
        if person is not None:
            request.user = person
        return person


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
