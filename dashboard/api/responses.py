"""Responses that routes share: the error statuses, and the answer to an operation."""

from __future__ import annotations

from ninja import Schema
from pydantic import Field


class Accepted(Schema):
    """The operation was requested from Temporal; the status of the batch follows."""

    detail: str


class Problem(Schema):
    """Why a request was refused: in one sentence, and for each field."""

    detail: str
    errors: dict[str, list[str]] = Field(default_factory=dict)


PROBLEMS = {401: Problem, 403: Problem, 404: Problem, 422: Problem}
OPERATION = {202: Accepted, **PROBLEMS, 409: Problem, 503: Problem}
