"""Who may connect to the websockets, over a real uvicorn."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from websockets.exceptions import InvalidStatus

from dashboard.live import consumers, logins
from dashboard.models import Batch
from tests.support.builders import make_person, make_viewer
from tests.support.websockets import OpenSocket, close_code, read_message, session_cookie

pytestmark = pytest.mark.django_db(transaction=True)


async def test_an_anonymous_browser_is_closed_with_4401(open_socket: OpenSocket, batch: Batch) -> None:
    for path in (f"/ws/batches/{batch.pk}/", "/ws/batches/"):
        async with open_socket(path, headers={"Cookie": ""}) as line:
            assert await close_code(line) == 4401


async def test_an_unknown_batch_is_closed_with_4404(open_socket: OpenSocket) -> None:
    async with open_socket("/ws/batches/no-such-batch/?revision=1") as line:
        assert await close_code(line) == 4404


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "", "https://{}", "http://127.0.0.1:1", "http://{}.evil"]
)
async def test_a_wrong_or_missing_origin_is_refused(
    open_socket: OpenSocket, address: str, batch: Batch, origin: str
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with open_socket(f"/ws/batches/{batch.pk}/", headers={"Origin": origin.format(address)}):
            pass
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("make", [make_viewer, lambda: make_person("nobody", "none")])
async def test_whoever_is_logged_in_may_look(open_socket: OpenSocket, batch: Batch, make: Callable[[], User]) -> None:
    cookie = await sync_to_async(lambda: session_cookie(make()))()
    async with open_socket(f"/ws/batches/{batch.pk}/?revision=0", headers={"Cookie": cookie}) as line:
        assert (await read_message(line))["batch"]["id"] == batch.pk


def deactivate(person: User) -> None:
    User.objects.filter(pk=person.pk).update(is_active=False)


def demote(person: User) -> None:
    person.groups.clear()


def change_password(person: User) -> None:
    person.set_password("another password, longer")
    person.save()


def log_out(person: User) -> None:
    Session.objects.all().delete()


@pytest.mark.parametrize(
    ("act", "code"), [(log_out, 4401), (deactivate, 4401), (change_password, 4401), (demote, 4403)]
)
async def test_sockets_end_with_their_login_or_role_at_the_next_look_which_is_within_two_seconds(
    open_socket: OpenSocket,
    batch: Batch,
    operator: User,
    act: Callable[[User], None],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks, look = list[int](), logins._codes

    def counted(known: dict[logins.Connection, logins.Login]) -> dict[logins.Connection, int]:
        looks.append(len(known))
        return look(known)

    monkeypatch.setattr(logins, "_codes", counted)
    async with open_socket(f"/ws/batches/{batch.pk}/") as line, open_socket("/ws/batches/") as other:
        await read_message(line)
        await read_message(other, "tick")
        await sync_to_async(act)(operator)
        before = len(looks)
        assert {await close_code(line), await close_code(other)} == {code}
    assert len(looks) - before <= 2, "one may have been under way"
    assert consumers.CHECK_LOGIN_EVERY <= 1


async def test_somebody_elses_end_ends_nothing(open_socket: OpenSocket, batch: Batch) -> None:
    viewer = await sync_to_async(make_viewer)()
    cookie = await sync_to_async(session_cookie)(viewer)
    async with open_socket("/ws/batches/") as mine, open_socket("/ws/batches/", headers={"Cookie": cookie}) as theirs:
        await sync_to_async(deactivate)(viewer)
        assert await close_code(theirs) == 4401
        await read_message(mine, "tick")
