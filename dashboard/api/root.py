"""The JSON API: one error shape for everything, {"detail", "errors"}, and an OpenAPI page for trying it."""

from __future__ import annotations

from dataclasses import asdict

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.urls import URLPattern, URLResolver
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError

from dashboard.api.auth import AUTH
from dashboard.api.batches import router
from dashboard.api.definitions import router as definition_router
from dashboard.api.operations import router as operation_router
from dashboard.api.schedules import router as schedule_router
from dashboard.api.subscriptions import router as subscription_router
from dashboard.api.workers import router as worker_router
from dashboard.errors import DefinitionRefused, Invalid, OperationError, Refused
from orchestration.definitions.source_tree import DefinitionErrors

api = NinjaAPI(
    title="Canopy",
    version="1",
    description="Launch batches, watch them, retry what failed. The same permissions as in the browser.",
    auth=AUTH,
    docs_url="/docs",
    urls_namespace="api-1",
)
api.add_router("", router)
api.add_router("", operation_router)
api.add_router("", schedule_router)
api.add_router("", definition_router)
api.add_router("", worker_router)
api.add_router("", subscription_router)


def _problem(status: int, detail: str, errors: dict[str, list[str]] | None = None) -> HttpResponse:
    return JsonResponse({"detail": detail, "errors": errors or {}}, status=status)


@api.exception_handler(Invalid)
@api.exception_handler(Refused)
def _invalid(request: HttpRequest, error: Invalid | Refused) -> HttpResponse:
    return _problem(422, str(error), error.errors)


@api.exception_handler(ValidationError)
def _malformed(request: HttpRequest, error: ValidationError) -> HttpResponse:
    errors = dict[str, list[str]]()
    for each in error.errors:
        place = ".".join(str(step) for step in each["loc"][1:] if step != "given") or "body"
        errors.setdefault(place, []).append(str(each["msg"]).removeprefix("Value error, "))
    return _problem(422, "Some fields are not valid.", errors)


@api.exception_handler(DefinitionRefused)
def _definition_refused(request: HttpRequest, error: DefinitionRefused) -> HttpResponse:
    return _problem(422, "Some fields are not valid.", error.errors)


@api.exception_handler(DefinitionErrors)
def _no_definition(request: HttpRequest, error: DefinitionErrors) -> HttpResponse:
    errors = [asdict(each) for each in error.errors]
    return JsonResponse({"detail": "The text is no valid definition.", "errors": errors}, status=422)


@api.exception_handler(OperationError)
def _not_done(request: HttpRequest, error: OperationError) -> HttpResponse:
    return _problem(error.status_code, error.message)


@api.exception_handler(PermissionDenied)
def _denied(request: HttpRequest, error: PermissionDenied) -> HttpResponse:
    return _problem(403, str(error) or "You may not do this.")


@api.exception_handler(AuthenticationError)
def _unknown(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    answer = _problem(401, "Send an API token: Authorization: Bearer canopy_….")
    answer["WWW-Authenticate"] = "Bearer"
    return answer


@api.exception_handler(HttpError)
def _http(request: HttpRequest, error: HttpError) -> HttpResponse:
    malformed = {"body": [str(error)]} if error.status_code == 400 else {}
    return _problem(422 if error.status_code == 400 else error.status_code, str(error), malformed)


@api.exception_handler(Http404)
def _missing(request: HttpRequest, error: Http404) -> HttpResponse:
    return _problem(404, str(error) or "There is nothing here.")


def urls() -> tuple[list[URLPattern | URLResolver], str, str]:
    """Return the API's addresses: it asks for a token itself, only its documentation asks for a login."""
    patterns, app_name, namespace = api.urls
    for pattern in patterns:
        assert isinstance(pattern, URLPattern)
        if pattern.callback is not None and not str(pattern.name).startswith("openapi"):
            login_not_required(pattern.callback)
    return patterns, app_name, namespace


@login_not_required
def unknown_address(request: HttpRequest, rest: str = "") -> HttpResponse:
    """Answer for every other address below /api/ in JSON too."""
    return _problem(404, f"There is nothing at {request.path}.")
