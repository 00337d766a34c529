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


class Unanswered(Problem):
    """Temporal has not answered, and it is not known yet whether the request was done.

    The audit trail of the batch says what came of it, and so does the `operation`, where the request has one.
    """

    operation: str | None = None


AWAY = {503: Problem}
"""The database or Temporal cannot be reached, or a limit of Temporal is reached, and nothing was changed."""

PROBLEMS = {401: Problem, 403: Problem, 404: Problem, 422: Problem, **AWAY}
COMMAND = {409: Problem, 502: Problem, 504: Unanswered}
"""Also answered where Temporal is told to do something: wrong state, refused by Temporal, not known yet."""

OPERATION = {202: Accepted, **PROBLEMS, **COMMAND}
