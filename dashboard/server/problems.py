"""Errors of the API in the one shape that all have ({"detail", "errors"}), and requests that cannot be read."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.core.exceptions import (
    BadRequest,
    DisallowedHost,
    RequestDataTooBig,
    SuspiciousOperation,
    TooManyFieldsSent,
    TooManyFilesSent,
)
from django.http import HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from django.template import loader
from django.utils.decorators import sync_and_async_middleware
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, override

from dashboard.database.sanitising import is_unstorable
from dashboard.i18n.formatting import StrOrPromise, numeral
from dashboard.server.outages import Outage, count_outage, outage_of
from orchestration.errors.texts import first_line

log = logging.getLogger(__name__)

API_ROOT = "/api/"
MB = 1024 * 1024
RETRY_AFTER = 5
"""Seconds after which to try again while the database or Temporal is away."""

OUTAGES: dict[Outage, StrOrPromise] = {
    Outage.DATABASE: gettext_lazy("Can't reach the database. Try again in a moment."),
    Outage.TEMPORAL: gettext_lazy("Can't reach Temporal. Try again in a moment."),
    Outage.AWAY: gettext_lazy("A service that Canopy needs is not available. Try again in a moment."),
    Outage.TOO_SLOW: gettext_lazy("This took too long, and was stopped. Try again, or narrow the search."),
    Outage.NO_SPACE: gettext_lazy(
        "The dashboard cannot write to its disk: it is full, or does not answer. Nothing was saved."
    ),
}
"""What a person or a client is told."""

UNSTORABLE = gettext_lazy("The request has a number or a character that cannot be stored.")
UNFINDABLE = re.compile("[\x00\ud800-\udfff]")

UNREADABLE = (BadRequest, SuspiciousOperation, MultiPartParserError, UnreadablePostError)
"""What is raised for a request that cannot be read."""


def problem(status: int, detail: str, errors: dict[str, list[str]] | None = None) -> JsonResponse:
    """Return an error of the API: why in one sentence, and by field."""
    return JsonResponse({"detail": detail, "errors": errors or {}}, status=status)


def internal_error() -> JsonResponse:
    """Return the error of the API for what nobody foresaw."""
    return problem(500, "Something went wrong in Canopy. Its log says what.")


def away(request: HttpRequest, error: BaseException | None) -> HttpResponse | None:
    """Return a 503 where an error tells of an outage of what Canopy needs; None for any other error."""
    if error is None or (outage := outage_of(error)) is None:
        return None
    count_outage(outage)
    log.warning("%s %s: %s", request.method, request.path, first_line(error))
    return refused(request, 503, OUTAGES[outage])


def unstorable(request: HttpRequest, error: BaseException | None) -> HttpResponse | None:
    """Return a 400 where a database refused a value that the request gave; None for any other error."""
    if error is None or not is_unstorable(error):
        return None
    log.warning("%s %s: %s", request.method, request.path, first_line(error), exc_info=error)
    return refused(request, 400, UNSTORABLE)


def refused(request: HttpRequest, status: int, reason: StrOrPromise, **more: Any) -> HttpResponse:
    """Return an answer of the API, a part of a page or the status's page with a reason; it has been logged.

    `more` is of the page's context.
    """
    if is_api(request):
        with override("en"):
            answer: HttpResponse = problem(status, str(reason))
    else:
        again = request.get_full_path() if request.method == "GET" else ""
        name = "partials/_refused.html" if request.headers.get("HX-Request") else f"{status}.html"
        answer = HttpResponse(
            loader.get_template(name).render({"reason": reason, "again": again, **more}), status=status
        )
    answer._has_been_logged = True  # type: ignore[attr-defined]  # Django would log a stack for each request
    return answer


class UnreadableAddress(BadRequest):
    """An address with a character that no database can look for."""


@sync_and_async_middleware
def readable_address(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Middleware: an address with NUL or half a character is refused before anybody looks for it."""
    if iscoroutinefunction(get_response):

        async def answered(request: HttpRequest) -> Any:
            _check_address(request)
            return await get_response(request)

        return answered

    def answered_at_once(request: HttpRequest) -> Any:
        _check_address(request)
        return get_response(request)

    return answered_at_once


def _check_address(request: HttpRequest) -> None:
    query = unquote(request.META.get("QUERY_STRING", ""))
    if UNFINDABLE.search(request.path_info) or UNFINDABLE.search(query):
        raise UnreadableAddress


@sync_and_async_middleware
def retry_later(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Middleware: every 503 says when to try again, whatever raised it."""
    if iscoroutinefunction(get_response):

        async def answered_later(request: HttpRequest) -> HttpResponse:
            return _with_retry_after(await get_response(request))

        return answered_later
    return lambda request: _with_retry_after(get_response(request))


def _with_retry_after(response: HttpResponse) -> HttpResponse:
    if response.status_code == 503:
        response.headers.setdefault("Retry-After", str(RETRY_AFTER))
    return response


def is_api(request: HttpRequest) -> bool:
    """Whether a request is to the API, whatever became of it."""
    return request.path_info.startswith(API_ROOT)


def why_unreadable(error: Exception) -> tuple[int, str]:
    """Return the status and the reason of a request that cannot be read, for a person."""
    if isinstance(error, RequestDataTooBig):
        most = numeral((settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0) // MB)
        return 413, _("The request is too large: at most %(limit)s MB are allowed.") % {"limit": most}
    if isinstance(error, TooManyFieldsSent | TooManyFilesSent):
        most = numeral(settings.DATA_UPLOAD_MAX_NUMBER_FIELDS or 0)
        return 413, _("The form has too many fields: at most %(limit)s are allowed.") % {"limit": most}
    if isinstance(error, UnreadableAddress):
        return 400, _("The address has a character that cannot be stored.")
    if isinstance(error, DisallowedHost):
        return 400, _(
            "The dashboard does not answer under this host name. Its log says under which one it was asked, and which "
            "variable to set."
        )
    return 400, _("The request cannot be read.")
