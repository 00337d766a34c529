"""Who sends a request, for limits: by session or token, forgotten beyond a bound."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.db import DatabaseError

from dashboard.accounts import identity
from dashboard.accounts.api_tokens import create_token
from dashboard.accounts.identity import Identities
from tests.support.websockets import session_cookie

pytestmark = pytest.mark.django_db(transaction=True)


def scope(**headers: str) -> dict[str, Any]:
    return {"headers": [(name.encode(), value.encode()) for name, value in headers.items()]}


async def test_a_session_and_a_token_of_one_person_are_the_same_person(operator: User) -> None:
    cookie = await sync_to_async(session_cookie)(operator)
    token = await sync_to_async(create_token)(operator, "test")
    known = Identities()
    of_session = await known.who_is(scope(cookie=f"other=1; {cookie}"))
    assert of_session is not None
    assert await known.who_is(scope(authorization=f"Bearer {token}")) == of_session


async def test_nobody_is_known_without_a_valid_session_or_token(operator: User) -> None:
    cookie = await sync_to_async(session_cookie)(operator)
    await User.objects.filter(pk=operator.pk).aupdate(is_active=False)
    given = [
        *({}, {"cookie": cookie}, {"cookie": "sessionid=unknown"}, {"cookie": "sessionid=" + "x" * 5_000}),
        *({"cookie": "\x00=;;"}, {"authorization": "Bearer canopy_wrong"}, {"authorization": "Basic b2xnYTo="}),
    ]
    known = Identities()
    assert [await known.who_is(scope(**headers)) for headers in given] == [None] * len(given)


async def test_what_is_remembered_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "REMEMBERED", 3)
    monkeypatch.setattr(identity, "_person_of", lambda kind, given: f"person {given}")
    known = Identities()
    for number in range(20):
        assert await known.who_is(scope(cookie=f"sessionid={number}")) == f"person {number}"
    assert len(known) == 3


async def test_while_the_database_is_away_nobody_is_known_and_nothing_is_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(kind: str, given: str) -> str:
        raise DatabaseError("away")

    known = Identities()
    with monkeypatch.context() as away:
        away.setattr(identity, "_person_of", fail)
        assert await known.who_is(scope(cookie="sessionid=1")) is None
    monkeypatch.setattr(identity, "_person_of", lambda kind, given: "person 1")
    assert await known.who_is(scope(cookie="sessionid=1")) == "person 1"
