"""Requests to a host or from an origin that is not the dashboard's: which it was, and what to set if it should be."""

from __future__ import annotations

import logging
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest
from django.middleware.csrf import REASON_BAD_ORIGIN, REASON_BAD_REFERER, REASON_INSECURE_REFERER

from dashboard.server.throttle import Throttle

log = logging.getLogger(__name__)

WARNED = Throttle(1, 3600.0)
WARNINGS = Throttle(20, 3600.0)
"""Lines in the log for each host or origin, and for all, in an hour: any stranger may send one."""

FOREIGN = tuple(
    reason.partition("%s")[0] for reason in (REASON_BAD_ORIGIN, REASON_BAD_REFERER, REASON_INSECURE_REFERER)
)
"""Beginnings of Django's reasons to refuse a form for where it came from."""

LONGEST = 200
"""Characters that are shown of what a stranger has sent."""


def warn_of_host(request: HttpRequest) -> None:
    """Say in the log under which host name the dashboard was asked, and which variable to set."""
    host = request.META.get("HTTP_HOST", request.META.get("SERVER_NAME", ""))[:LONGEST]
    if _is_to_be_said(host):
        log.warning(
            "Refused a request to the host %r: the dashboard answers under %s. If people open it there, set CANOPY_URL "
            "(CANOPY_URL=https://%s%s), or name the host in ALLOWED_HOSTS; if not, have the proxy pass the header Host "
            "on.",
            host,
            ", ".join(settings.ALLOWED_HOSTS),
            host if host.isprintable() else "canopy.example.org",
            settings.ADDRESS.prefix,
        )


def foreign_page(request: HttpRequest, reason: str) -> str | None:
    """Return the origin of the page whose form was refused as foreign, and log it; None where it was not for that."""
    if not reason.startswith(FOREIGN):
        return None
    given = request.META.get("HTTP_ORIGIN") or request.META.get("HTTP_REFERER", "")
    parts = urlsplit(given[:LONGEST])
    page = f"{parts.scheme}://{parts.netloc}" if parts.netloc else given[:LONGEST]
    if _is_to_be_said(page):
        log.warning(
            "Refused a form of %r: the dashboard takes itself to be %s. If people open it under the first address, set "
            "CANOPY_URL to it, or name it in CSRF_TRUSTED_ORIGINS, and have the proxy (%s, to be one of "
            "TRUSTED_PROXIES) pass Host and X-Forwarded-Proto on.",
            page,
            own_origin(request),
            request.META.get("REMOTE_ADDR") or "unix:",
        )
    return page


def own_origin(request: HttpRequest) -> str:
    """Return the origin that a request seems to be for."""
    try:
        return f"{request.scheme}://{request.get_host()}"
    except DisallowedHost:
        return str(settings.ADDRESS.origin)


def _is_to_be_said(key: str) -> bool:
    return WARNED.take(key) and WARNINGS.take("")
