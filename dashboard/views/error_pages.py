"""What is shown for requests that no view answered: pages, and JSON below /api/."""

from __future__ import annotations

import sys

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import REASON_NO_CSRF_COOKIE
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views import defaults

from dashboard.queries.deleted_batches import deleted_batch, deleted_page
from dashboard.server.misdirected import foreign_page, own_origin, warn_of_host
from dashboard.server.problems import away, internal_error, is_api, problem, unstorable, why_unreadable


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Say why a request cannot be read, or that what Canopy needs is away: a session could not be saved."""
    if (answer := away(request, exception)) is not None:
        return answer
    if isinstance(exception, DisallowedHost):
        warn_of_host(request)
    status, reason = why_unreadable(exception)
    if is_api(request):
        return problem(status, reason)
    context: dict[str, object] = {"reason": reason}
    if isinstance(exception, DisallowedHost):
        context |= {"is_misdirected": True, "elsewhere": f"{settings.CANOPY_URL}/" if settings.ADDRESS.is_given else ""}
    return render(request, "400.html", context, status=status)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Say that a person may not do this."""
    if is_api(request):
        return problem(403, str(exception) or _("You don't have permission to do this."))
    return defaults.permission_denied(request, exception)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Say that there is no such page; of a batch that was deleted what is kept of it, with status 410."""
    if is_api(request):
        return problem(404, f"Not found: {request.path}.")
    batch_id = request.resolver_match.kwargs.get("batch_id", "") if request.resolver_match else ""
    if batch_id and (deleted := deleted_batch(batch_id)) is not None:
        return render(request, "batches/batch_deleted.html", {"page": deleted_page(deleted)}, status=410)
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """Say that something went wrong, or that what Canopy needs is away."""
    error = sys.exc_info()[1]
    if (answer := away(request, error) or unstorable(request, error)) is not None:
        return answer
    if is_api(request):
        return internal_error()
    return defaults.server_error(request)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Say that a form was sent from elsewhere, or from a session that has ended; or that an address is set wrongly."""
    if is_api(request):
        return problem(403, "The CSRF token is missing or wrong.")
    if (page := foreign_page(request, reason)) is not None:
        return render(request, "403_csrf.html", {"page": page, "own": own_origin(request)}, status=403)
    return render(request, "403_csrf.html", {"has_no_cookie": reason == REASON_NO_CSRF_COOKIE}, status=403)
