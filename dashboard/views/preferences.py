"""Display preferences, kept in cookies."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from dashboard.accounts.preferences import COOKIES
from dashboard.server.requests import HtmxHttpRequest, way_back

YEAR = 365 * 24 * 3600


@require_POST
def appearance_set(request: HtmxHttpRequest) -> HttpResponse:
    """Save the chosen preferences and redirect back; htmx stays on its page."""
    response: HttpResponse = HttpResponseRedirect(way_back(request, reverse("home")))
    if request.htmx:
        response = HttpResponse(status=204)
        if "language" in request.POST:
            response["HX-Refresh"] = "true"
    for name, (cookie, choices) in COOKIES.items():
        given = request.POST.get(name)
        if given is not None and given in choices:
            response.set_cookie(
                cookie,
                given,
                max_age=YEAR,
                path=settings.SESSION_COOKIE_PATH,
                samesite="Lax",
                secure=settings.HTTPS or request.is_secure(),
                httponly=True,
            )
    return response
