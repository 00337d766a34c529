"""Plain HTTP where TLS is required: a redirect where the browser came without it, an explanation where nobody can tell.

A proxy that ends TLS and does not say so would have the browser redirected to where it is, for ever.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import sync_and_async_middleware
from django.utils.translation import gettext as _

from dashboard.server.client_address import believes_scheme
from dashboard.server.problems import refused
from dashboard.server.throttle import Throttle

log = logging.getLogger(__name__)

WARNED = Throttle(20, 3600.0)
"""Lines in the log, in each hour."""


@sync_and_async_middleware
def explained(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Middleware: refuse what may have come over TLS or not. SecurityMiddleware redirects what has come without it."""
    if iscoroutinefunction(get_response):

        async def answered(request: HttpRequest) -> Any:
            return refusal(request) or await get_response(request)

        return answered
    return lambda request: refusal(request) or get_response(request)


def refusal(request: HttpRequest) -> HttpResponse | None:
    """Return the answer to a request of which no trusted proxy says how it came; None for all others."""
    peer, said = request.META.get("REMOTE_ADDR", ""), request.headers.get("X-Forwarded-Proto", "")
    if not settings.SECURE_SSL_REDIRECT or request.is_secure() or (said and believes_scheme(peer)):
        return None
    if request.path.startswith(settings.STATIC_URL):  # the stylesheets of the page that explains it
        return None
    if WARNED.take(""):
        why = (
            f"it says X-Forwarded-Proto: {said}, but {peer or 'unix:'} is not in TRUSTED_PROXIES"
            if said
            else "it has no X-Forwarded-Proto, which the proxy that ends TLS has to send"
        )
        log.warning(
            "A request of %s was refused: HTTPS is required (CANOPY_URL, CANOPY_HTTPS), and %s.", peer or "unix:", why
        )
    host = settings.SECURE_SSL_HOST or request.get_host()
    reason = _(
        "This dashboard is only served over HTTPS: open %(address)s. If you did, the proxy in front of it does not "
        "say so (X-Forwarded-Proto), or is not one of TRUSTED_PROXIES; the dashboard's log names it."
    )
    address = f"https://{host}{request.get_full_path()}"
    return refused(request, 400, reason % {"address": address}, is_misdirected=True)
