"""Refusals before Django has seen a request: JSON below /api/, a page elsewhere, and a moment to read them."""

from __future__ import annotations

import asyncio
import contextlib
import io
from typing import Any

from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse
from django.template import loader
from django.utils.translation import get_language_from_request, override
from django.utils.translation import gettext as _

from dashboard.i18n.formatting import numeral
from dashboard.server.problems import is_api, problem

LINGER_SECONDS = 2.0
LINGER_BYTES = 1024 * 1024
"""How long, and for how much more of its body, a client may take to read why its request is refused. A connection that
is closed while data arrives is reset, and the answer may be lost with it."""

KB, MB = 1024, 1024 * 1024

CLOSE = (b"connection", b"close")


class Refused(Exception):
    """A request that is not served."""

    status = 400
    retry_after: int | None = None

    def reason(self) -> str:
        """Return why, in the language that is active."""
        return _("The request cannot be read.")


class BodyTooLarge(Refused):
    """A body beyond what its route takes from whoever sends it."""

    status = 413

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._limit = limit

    def reason(self) -> str:
        """Return why."""
        if self._limit < MB:
            most = _("%(number)s kB") % {"number": numeral(self._limit // KB)}
        else:
            most = _("%(number)s MB") % {"number": numeral(self._limit // MB)}
        return _("The request is too large: at most %(limit)s are allowed here.") % {"limit": most}


class BodyTooSlow(Refused):
    """A body of which nothing, or too little, arrives."""

    status = 408

    def reason(self) -> str:
        """Return why."""
        return _("The request did not arrive in time.")


class TooManyRequests(Refused):
    """More than one person or address may have at work at a time."""

    status = 429
    retry_after = 2

    def reason(self) -> str:
        """Return why."""
        return _("Too many requests at a time. Wait until the others are answered.")


class Overloaded(Refused):
    """More requests at work than the process serves."""

    status = 503
    retry_after = 5

    def reason(self) -> str:
        """Return why."""
        return _("The dashboard has too many requests to serve. Try again in a moment.")


async def refuse(scope: dict[str, Any], receive: Any, send: Any, refused: Refused, *, has_body: bool) -> None:
    """Answer a request. Where its body has not arrived as a whole, the connection is closed afterwards."""
    answer = _answer(scope, refused)
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in answer.items()]
    headers += [(b"content-length", str(len(answer.content)).encode()), (b"cache-control", b"no-store")]
    headers += [] if has_body else [CLOSE]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.content, "more_body": not has_body})
    if not has_body:
        await _linger(receive)
        await send({"type": "http.response.body", "body": b""})


def _answer(scope: dict[str, Any], refused: Refused) -> HttpResponse:
    request = ASGIRequest(scope, io.BytesIO())
    if is_api(request):
        with override("en"):
            answer: HttpResponse = problem(refused.status, refused.reason())
    else:
        with override(get_language_from_request(request) if settings.USE_I18N else None):
            template = "503.html" if refused.status == 503 else "400.html"
            page = loader.get_template(template).render({"reason": refused.reason()})
            answer = HttpResponse(page, status=refused.status)
    if refused.retry_after is not None:
        answer["Retry-After"] = str(refused.retry_after)
    answer["X-Content-Type-Options"] = "nosniff"
    return answer


async def _linger(receive: Any) -> None:
    """Take no more than a little of the rest of a body, and throw it away."""
    taken = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            while taken < LINGER_BYTES:
                message = await receive()
                taken += len(message.get("body", b""))
                if message["type"] != "http.request" or not message.get("more_body"):
                    return
