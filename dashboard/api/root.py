"""The JSON API: its routers, one error shape for all of them ({"detail", "errors"}), and the OpenAPI page."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.core.signals import got_request_exception
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, URLResolver, reverse
from django.utils.translation import override
from django.views.decorators.csrf import csrf_exempt
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.openapi.schema import OpenAPISchema
from ninja.operation import Operation

from dashboard import resources
from dashboard.api.auth import AUTH, TooManyTries
from dashboard.api.batch_actions import router as batch_action_router
from dashboard.api.batches import router as batch_router
from dashboard.api.body import StrictParser
from dashboard.api.catalogue import router as catalogue_router
from dashboard.api.definitions import router as definition_router
from dashboard.api.nodes import router as node_router
from dashboard.api.notifications import router as notification_router
from dashboard.api.operations import router as operation_router
from dashboard.api.retention import router as retention_router
from dashboard.api.schedules import router as schedule_router
from dashboard.api.token_trail import note_request
from dashboard.api.tokens import router as token_router
from dashboard.api.workers import router as worker_router
from dashboard.errors import FieldErrors, NotKnownYet, OperationError, reasons_by_field
from dashboard.inputs.strict_json import InvalidJson
from dashboard.queries.deleted_batches import deleted_batch, deleted_words
from dashboard.server.problems import UNREADABLE, away, internal_error, problem, unstorable, why_unreadable
from dashboard.server.recently_used import RecentlyUsed
from orchestration.definitions.source_tree import DefinitionErrors

log = logging.getLogger(__name__)

SCHEMAS_KEPT = 4
"""One for each address below which the site is served."""

RESOURCES = {"batch_actions": "batches", "nodes": "batches", "catalogue": "batches", "notifications": "subscriptions"}
"""Modules whose operation ids name another resource: generated clients are not renamed when a route moves."""


EVERYWHERE = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    503: "The database or Temporal cannot be reached",
}
OF_A_BATCH = {410: "The batch was deleted: its retention is over"}
WITH_A_BODY = {413: "Content Too Large", 415: "Unsupported Media Type", 422: "Unprocessable Content"}
"""Statuses that are answered before a route is asked, or whatever it does."""


def _problem_response(description: str) -> dict[str, Any]:
    reference = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {"application/json": {"schema": reference}}}


class CanopyAPI(NinjaAPI):
    """The API, with operation ids that name the resource: generated clients call their methods so."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._schemas = RecentlyUsed[str, OpenAPISchema](SCHEMAS_KEPT)

    def get_openapi_operation_id(self, operation: Operation) -> str:
        """Return `dashboard_api_<resource>_<function>`."""
        module = operation.view_func.__module__.rpartition(".")[2]
        return f"dashboard_api_{RESOURCES.get(module, module)}_{operation.view_func.__name__}"

    def get_openapi_schema(self, **given: Any) -> OpenAPISchema:
        """Return the schema with the errors that any route may answer, beside those that routes declare.

        It is made once, which takes a quarter of a second: no caller may change it.
        """
        prefix = self.get_root_path(given.get("path_params") or {})
        if prefix not in self._schemas:
            self._schemas[prefix] = self._described(prefix)
        return self._schemas[prefix]

    def _described(self, prefix: str) -> OpenAPISchema:
        schema = super().get_openapi_schema(path_prefix=prefix)
        for address, path in schema["paths"].items():
            for described in path.values():
                statuses = {**EVERYWHERE, **(WITH_A_BODY if "requestBody" in described else {})}
                statuses |= OF_A_BATCH if "{batch_id}" in address else {}
                for status, description in statuses.items():
                    described["responses"].setdefault(status, _problem_response(description))
        return schema


api = CanopyAPI(
    title="Canopy",
    version="1",
    description="Launch batches, watch them and retry failures, with the same permissions as in the browser. This is "
    f"version 1 of the API, of Canopy {resources.version()}.",
    auth=AUTH,
    docs_url="/docs",
    parser=StrictParser(),
    urls_namespace="api-1",
)
for router in (
    batch_router,
    node_router,
    batch_action_router,
    catalogue_router,
    operation_router,
    schedule_router,
    definition_router,
    worker_router,
    token_router,
    notification_router,
    retention_router,
):
    api.add_router("", router)


@api.exception_handler(FieldErrors)
def _field_errors(request: HttpRequest, error: FieldErrors) -> HttpResponse:
    return problem(422, "Some fields are invalid.", error.errors)


@api.exception_handler(ValidationError)
def _validation_error(request: HttpRequest, error: ValidationError) -> HttpResponse:
    places = [
        {**each, "loc": [step for step in each["loc"][1:] if step != "given"] or ["body"]} for each in error.errors
    ]
    return problem(422, "Some fields are invalid.", reasons_by_field(places))


@api.exception_handler(DefinitionErrors)
def _definition_errors(request: HttpRequest, error: DefinitionErrors) -> HttpResponse:
    errors = [asdict(each) for each in error.errors]
    return JsonResponse({"detail": "The text is not a valid definition.", "errors": errors}, status=422)


@api.exception_handler(OperationError)
def _operation_error(request: HttpRequest, error: OperationError) -> HttpResponse:
    answer = problem(error.status_code, error.message)
    if isinstance(error, NotKnownYet):
        operation = error.operation or None
        answer = JsonResponse({"detail": error.message, "errors": {}, "operation": operation}, status=504)
    return answer


@api.exception_handler(PermissionDenied)
def _permission_denied(request: HttpRequest, error: PermissionDenied) -> HttpResponse:
    return problem(403, str(error) or "You don't have permission to do this.")


@api.exception_handler(AuthenticationError)
def _unauthenticated(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    answer = problem(401, "Send an API token: Authorization: Bearer canopy_….")
    answer["WWW-Authenticate"] = "Bearer"
    return answer


@api.exception_handler(TooManyTries)
def _too_many_tries(request: HttpRequest, error: TooManyTries) -> HttpResponse:
    answer = problem(429, str(error))
    answer["Retry-After"] = str(error.seconds)
    return answer


@api.exception_handler(HttpError)
def _http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    if error.status_code == 404 and (gone := _gone(request)) is not None:
        return gone
    if error.status_code != 400:
        return problem(error.status_code, str(error))
    if request.content_type and not request.content_type.endswith("json"):
        return problem(415, f"Send the body as application/json, not as {request.content_type}.")
    reason = error.__cause__ if isinstance(error.__cause__, InvalidJson) else error
    return problem(422, "The body cannot be read.", {"body": [str(reason)]})


@api.exception_handler(Http404)
def _not_found(request: HttpRequest, error: Http404) -> HttpResponse:
    return _gone(request) or problem(404, str(error) or "Not found.")


def _gone(request: HttpRequest) -> HttpResponse | None:
    """Return a 410 where a request names a batch that was deleted, and what is kept of it is at."""
    batch_id = request.resolver_match.kwargs.get("batch_id", "") if request.resolver_match else ""
    if not batch_id or request.resolver_match is None or "deleted-batches" in request.resolver_match.route:
        return None
    deleted = deleted_batch(batch_id)
    if deleted is None:
        return None
    with override("en"):
        words = deleted_words(deleted)
    return problem(410, f"{words} What is kept of it: {reverse('api-1:get_deleted_batch', args=[batch_id])}.")


def _unreadable(request: HttpRequest, error: Any) -> HttpResponse:
    return problem(*why_unreadable(error))


for unreadable in UNREADABLE:
    api.add_exception_handler(unreadable, _unreadable)


@api.exception_handler(Exception)
def _unforeseen(request: HttpRequest, error: Exception) -> HttpResponse:
    if (answer := away(request, error) or unstorable(request, error)) is not None:
        return answer
    log.error("%s %s failed.", request.method, request.path, exc_info=error)
    got_request_exception.send(sender=None, request=request)
    return internal_error()


def _in_json(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Return a route's view whose refusal of a method is JSON too, and whose use by a token is recorded."""

    @wraps(view)
    def answered(request: HttpRequest, *arguments: Any, **named: Any) -> HttpResponseBase:
        response = view(request, *arguments, **named)
        note_request(request, str(request.resolver_match.route) if request.resolver_match else "", response)
        if not isinstance(response, HttpResponseNotAllowed):
            return response
        refusal = problem(405, f"{request.method} is not allowed here.")
        refusal["Allow"] = response["Allow"]
        return refusal

    return answered


def urls() -> tuple[list[URLPattern | URLResolver], str, str]:
    """Return the API's URLs. Routes authenticate by themselves; only the documentation needs a login."""
    patterns, app_name, namespace = api.urls
    for pattern in patterns:
        assert isinstance(pattern, URLPattern)
        if pattern.callback is not None and not str(pattern.name).startswith("openapi"):
            pattern.callback = _in_json(login_not_required(pattern.callback))
    return patterns, app_name, namespace


@csrf_exempt
@login_not_required
def unknown_address(request: HttpRequest, rest: str = "") -> HttpResponse:
    """Return a JSON 404 for every other URL below /api/."""
    return problem(404, f"Not found: {request.path}.")
