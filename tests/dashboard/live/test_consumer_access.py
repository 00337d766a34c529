"""Who may connect to the websockets, over a real uvicorn."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from websockets.exceptions import InvalidStatus

from dashboard.live import consumers
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


@pytest.mark.parametrize("origin", ["https://evil.example", "null", ""])
async def test_a_wrong_or_missing_origin_is_refused(open_socket: OpenSocket, batch: Batch, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with open_socket(f"/ws/batches/{batch.pk}/", headers={"Origin": origin}):
            pass
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("make", [make_viewer, lambda: make_person("nobody", "none")])
async def test_whoever_is_logged_in_may_look(open_socket: OpenSocket, batch: Batch, make: Callable[[], User]) -> None:
    cookie = await sync_to_async(lambda: session_cookie(make()))()
    async with open_socket(f"/ws/batches/{batch.pk}/?revision=0", headers={"Cookie": cookie}) as line:
        assert (await read_message(line))["batch"]["id"] == batch.pk


async def test_who_logs_out_is_sent_nothing_more(
    open_socket: OpenSocket, batch: Batch, operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "CHECK_LOGIN_EVERY", 0.1)
    async with open_socket(f"/ws/batches/{batch.pk}/") as line:
        await read_message(line)
        await User.objects.filter(pk=operator.pk).aupdate(is_active=False)
        assert await close_code(line) == 4401
