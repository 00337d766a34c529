"""A request is the beginning of a trace, or a part of its client's; what comes of it is a part of the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from orchestration.telemetry import tracing

UNTRACED = ("/healthz", "/livez", "/readyz", "/metrics", "/static/")
"""Beginnings of paths that somebody asks for every few seconds, or with every page."""

CARRIERS = ("traceparent", "tracestate", "baggage")


@sync_and_async_middleware
def traced(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Trace each request by its method and route."""
    if iscoroutinefunction(get_response):

        async def answer_async(request: HttpRequest) -> HttpResponseBase:
            with _span(request) as note:
                return note(await get_response(request))

        return answer_async

    def answer(request: HttpRequest) -> HttpResponseBase:
        with _span(request) as note:
            return note(get_response(request))

    return answer


@contextmanager
def _span(request: HttpRequest) -> Iterator[Callable[[HttpResponseBase], HttpResponseBase]]:
    """Yield what notes the answer."""
    if request.path_info.startswith(UNTRACED):
        yield lambda response: response
        return
    method = str(request.method)
    carrier = {name: request.headers[name] for name in CARRIERS if name in request.headers}
    with tracing.serving(method, carrier) as span:

        def note(response: HttpResponseBase) -> HttpResponseBase:
            if span is not None:
                route = f"/{request.resolver_match.route}" if request.resolver_match else ""
                span.update_name(f"{method} {route}".strip())
                span.set_attribute("http.request.method", method)
                span.set_attribute("http.response.status_code", response.status_code)
                if route:
                    span.set_attribute("http.route", route)
            return response

        yield note
