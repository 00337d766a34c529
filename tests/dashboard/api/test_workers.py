"""What a remote worker's store asks of the API has the same effect as in the database."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from django.contrib.auth.models import User
from django.test import Client

from dashboard.accounts.api_tokens import create_token
from dashboard.chunk_store.store import DjangoChunkStore
from dashboard.models import BegunItem, TokenKind
from dashboard.models import StepResult as KeptResult
from dashboard.projection.events import apply_events
from orchestration.contracts.chunks import BegunItems, ChunkInput
from orchestration.contracts.step_results import StepResult, item_reference, text_of
from orchestration.contracts.stores import ResultRefused
from orchestration.remote import store as remote
from orchestration.remote.store import RemoteStore
from tests.support.builders import MakeBatch, child_of, started

QUEUE = "mine"

pytestmark = pytest.mark.django_db


@pytest.fixture
def store(operator: User, monkeypatch: pytest.MonkeyPatch) -> RemoteStore:
    """A remote worker's store, whose calls reach the API without a socket."""
    headers = {"Authorization": f"Bearer {create_token(operator, 'one', TokenKind.WORKER, queues=[QUEUE])}"}

    def answered(request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode()
        client, kind = Client(), request.headers.get("content-type", "")
        if request.method == "GET":
            answer = client.get(path, headers=headers)
        else:
            answer = client.post(path, request.content, content_type=kind, headers=headers)
        given = {"content-type": answer["Content-Type"]} if answer.content else {}
        return httpx.Response(answer.status_code, content=answer.content, headers=given)

    client = httpx.Client(transport=httpx.MockTransport(answered), base_url="http://canopy")
    monkeypatch.setattr(remote, "bearer_client", lambda *given, **more: client)
    return RemoteStore("http://canopy", "token")


def test_notes_of_what_was_begun_are_counted_by_other_passes_and_taken_back(
    make_batch: MakeBatch, store: RemoteStore
) -> None:
    batch = make_batch(items=3, chunk_size=3, task_queue=QUEUE)
    apply_events(batch.pk, [started(child_of(batch, 0))])
    run = started(child_of(batch, 0)).run_id
    begun = [BegunItems(batch.pk, run, token, [0, 2]) for token in ("first", "second")]
    assert store.note_begun(begun[0]) == [0, 0]
    assert store.note_begun(begun[0]) == [0, 0]
    assert store.note_begun(begun[1]) == [1, 1]
    chunk = ChunkInput(batch.pk, 0, 0, 3, "elsewhere", timedelta(minutes=1), after_loss=True)
    assert [item.ends for item in store.read_chunk(chunk, run).items] == [2, 0, 2]
    store.forget_begun(begun[1])
    assert [item.ends for item in store.read_chunk(chunk, run).items] == [1, 0, 1]
    assert BegunItem.objects.count() == 2
    assert store.note_begun(BegunItems("gone", "run", "first", [0])) == [0]


def test_a_dashboard_of_before_says_nothing_of_earlier_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(204))
    client = httpx.Client(transport=transport, base_url="http://canopy")
    monkeypatch.setattr(remote, "bearer_client", lambda *given, **more: client)
    assert RemoteStore("http://canopy", "token").note_begun(BegunItems("batch", "run", "first", [3, 4])) == [0, 0]


def test_a_result_of_a_step_is_kept_once_and_comes_back_as_it_was(make_batch: MakeBatch, store: RemoteStore) -> None:
    batch, other = (make_batch(items=1, task_queue=QUEUE) for _ in range(2))
    text = '{"text":"\\u0000 ü \ud800 %"}'
    kept = StepResult.of(batch.pk, f"batch-{batch.pk}/get all", text)
    for _ in range(2):
        store.write_step_result(kept)
    row = KeptResult.objects.get()
    assert (row.batch_id, row.step, row.digest, row.size) == (
        batch.pk,
        kept.step,
        kept.id,
        len(text.encode("utf-8", "surrogatepass")),
    )
    assert text_of(store.read_step_result(batch.pk, kept.id)) == text
    assert text_of(DjangoChunkStore().read_step_result(batch.pk, kept.id)) == text
    with pytest.raises(LookupError, match="launch the batch again"):
        store.read_step_result(other.pk, kept.id)
    with pytest.raises(LookupError, match="does not exist"):
        store.write_step_result(StepResult.of("gone", "step", text))
    with pytest.raises(httpx.HTTPStatusError, match="422"):
        store.write_step_result(replace(kept, id="x" * 40))
    item = batch.items.get()
    assert json.loads(text_of(store.read_step_result(batch.pk, item_reference(item.index)))) == item.data
    with pytest.raises(LookupError, match="has no item 7"):
        store.read_step_result(batch.pk, item_reference(7))
    batch.delete()
    assert not KeptResult.objects.exists()


def test_a_result_that_a_proxy_takes_for_too_large_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(413, html="<h1>413</h1>"))
    client = httpx.Client(transport=transport, base_url="http://canopy")
    monkeypatch.setattr(remote, "bearer_client", lambda *given, **more: client)
    with pytest.raises(ResultRefused, match=r"The result of root/s has .* bytes .* raise the proxy's limit"):
        RemoteStore("http://canopy", "token").write_step_result(StepResult.of("batch", "root/s", '"x"'))
