"""API tokens: list, create, revoke."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Router, Schema, Status
from pydantic import ConfigDict, Field

from dashboard.accounts.api_tokens import request_token, revoke, shown_tokens
from dashboard.api.responses import PROBLEMS
from dashboard.models import ApiToken, TokenKind, TokenRole

router = Router(tags=["Tokens"])

USES_SHOWN = 500


class TokenIn(Schema):
    """A token to create: for a person (then with a role), for a worker (then with its task queues), or for events."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=100)
    kind: TokenKind = TokenKind.PERSON
    role: TokenRole = TokenRole.OWNER
    queues: list[str] = Field(default_factory=list, max_length=50)


class TokenOut(Schema):
    """A token without its text. `used_at` is right to a minute.

    `used_as_worker_at`: a worker or plugin uses this token of a person, which the next release refuses.
    """

    id: int
    name: str
    person: str
    kind: TokenKind
    role: TokenRole
    queues: list[str]
    created_at: datetime
    used_at: datetime | None
    used_as_worker_at: datetime | None


class TokenCreated(TokenOut):
    """A new token with its text, which is shown this once."""

    token: str


class TokenUseOut(Schema):
    """A request with a token that was to change something, and the status of its answer."""

    action: str
    subject: str
    status: int
    address: str
    at: datetime


@router.get("/tokens", response={200: list[TokenOut], **PROBLEMS})
def list_tokens(request: HttpRequest) -> list[dict[str, Any]]:
    """List the caller's tokens, and for operators those of workers and plugins, newest first."""
    return [_state(token) for token in shown_tokens(request.user)]


@router.post("/tokens", response={201: TokenCreated, **PROBLEMS})
def create_token(request: HttpRequest, given: TokenIn) -> Status[dict[str, Any]]:
    """Create a token. With a token itself, only those of workers and plugins can be created."""
    token, text = request_token(request.user, given.name, given.kind, given.role, given.queues)
    return Status(201, _state(token) | {"token": text})


@router.get("/tokens/{token_id}/uses", response={200: list[TokenUseOut], **PROBLEMS})
def list_uses(request: HttpRequest, token_id: int) -> list[Any]:
    """List what a token was used for, newest first, 500 at most."""
    token = get_object_or_404(shown_tokens(request.user), pk=token_id)
    return list(token.uses.all()[:USES_SHOWN])


@router.delete("/tokens/{token_id}", response={204: None, **PROBLEMS})
def delete_token(request: HttpRequest, token_id: int) -> Status[None]:
    """Revoke a token."""
    revoke(get_object_or_404(shown_tokens(request.user), pk=token_id))
    return Status(204, None)


def _state(token: ApiToken) -> dict[str, Any]:
    names = ("name", "kind", "role", "queues", "created_at", "used_at", "used_as_worker_at")
    return {"id": token.pk, "person": token.person.get_username(), **{name: getattr(token, name) for name in names}}
