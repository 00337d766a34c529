"""Responses that several routes share: the error statuses and how an operation answers."""

from __future__ import annotations

from dashboard.api import schemas

PROBLEMS = {401: schemas.Problem, 403: schemas.Problem, 404: schemas.Problem, 422: schemas.Problem}
OPERATION = {202: schemas.Accepted, **PROBLEMS, 409: schemas.Problem, 503: schemas.Problem}
