"""What a remote worker's store asks of the API has the same effect as in the database."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest
from django.contrib.auth.models import User
from django.test import Client

from dashboard.accounts.api_tokens import create_token
from dashboard.models import BegunItem
from orchestration.contracts.chunks import BegunItems, ChunkInput
from orchestration.remote import store as remote
from orchestration.remote.store import RemoteStore
from tests.support.builders import MakeBatch

pytestmark = pytest.mark.django_db


@pytest.fixture
def store(operator: User, monkeypatch: pytest.MonkeyPatch) -> RemoteStore:
    """A remote worker's store, whose calls reach the API without a socket."""
    headers = {"Authorization": f"Bearer {create_token(operator, 'worker')}"}

    def answered(request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode()
        answer = Client().post(path, request.content, content_type="application/json", headers=headers)
        kind = {"content-type": answer["Content-Type"]} if answer.content else {}
        return httpx.Response(answer.status_code, content=answer.content, headers=kind)

    client = httpx.Client(transport=httpx.MockTransport(answered), base_url="http://canopy")
    monkeypatch.setattr(remote, "bearer_client", lambda *given, **more: client)
    return RemoteStore("http://canopy", "token")


def test_notes_of_what_was_begun_are_counted_by_other_passes_and_taken_back(
    make_batch: MakeBatch, store: RemoteStore
) -> None:
    batch = make_batch(items=3, chunk_size=3)
    begun = [BegunItems(batch.pk, "run", token, [0, 2]) for token in ("first", "second")]
    assert store.note_begun(begun[0]) == [0, 0]
    assert store.note_begun(begun[0]) == [0, 0]
    assert store.note_begun(begun[1]) == [1, 1]
    chunk = ChunkInput(batch.pk, 0, 0, 3, "elsewhere", timedelta(minutes=1), after_loss=True)
    assert [item.ends for item in store.read_chunk(chunk, "run").items] == [2, 0, 2]
    store.forget_begun(begun[1])
    assert [item.ends for item in store.read_chunk(chunk, "run").items] == [1, 0, 1]
    assert BegunItem.objects.count() == 2
    assert store.note_begun(BegunItems("gone", "run", "first", [0])) == [0]


def test_a_dashboard_of_before_says_nothing_of_earlier_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(204))
    client = httpx.Client(transport=transport, base_url="http://canopy")
    monkeypatch.setattr(remote, "bearer_client", lambda *given, **more: client)
    assert RemoteStore("http://canopy", "token").note_begun(BegunItems("batch", "run", "first", [3, 4])) == [0, 0]
