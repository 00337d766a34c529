"""Addresses that only take forms: whoever opens one, such as by a reload after an error, gets the page of the form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import Resolver404, get_script_prefix, resolve
from django.utils.decorators import sync_and_async_middleware

from dashboard.server.problems import API_ROOT


@sync_and_async_middleware
def back_to_the_form(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Answer a GET of an address that takes a POST alone with a redirect to the page above it."""
    if iscoroutinefunction(get_response):

        async def answer_async(request: HttpRequest) -> HttpResponse:
            response: HttpResponse = await get_response(request)
            return _page_above(request, response) or response

        return answer_async

    def answer(request: HttpRequest) -> HttpResponse:
        response: HttpResponse = get_response(request)
        return _page_above(request, response) or response

    return answer


def _page_above(request: HttpRequest, response: HttpResponse) -> HttpResponse | None:
    """Return the redirect, or None. What takes no GET either redirects further up."""
    takes_forms = response.status_code == 405 and "POST" in response.headers.get("Allow", "")
    wants_page = "Accept" in request.headers and request.accepts("text/html") and "HX-Request" not in request.headers
    if not takes_forms or request.method not in ("GET", "HEAD") or not wants_page:
        return None
    path = request.path_info
    while not path.startswith(API_ROOT) and (path := path.rstrip("/").rpartition("/")[0] + "/") != "/":
        try:
            resolve(path)
        except Resolver404:
            continue
        return HttpResponseRedirect(get_script_prefix().rstrip("/") + path)
    return None if path.startswith(API_ROOT) else HttpResponseRedirect(get_script_prefix())
