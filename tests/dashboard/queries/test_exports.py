"""Kinds of error in API and downloads, and the content of downloads."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from dashboard.accounts.api_tokens import create_token
from dashboard.chunk_store.store import DjangoChunkStore
from dashboard.inputs.reader import InputReader
from dashboard.inputs.rows import InputRow
from dashboard.inputs.source import Format, Source
from dashboard.models import Item, NodeStatus
from dashboard.projection.events import apply_events
from dashboard.queries.export_rows import ExportedItems, exported_columns
from dashboard.queries.exports import cell, launch_again_csv, rejected_for_spreadsheets, shown_cell, spreadsheet_lines
from dashboard.server.streaming import PART_SIZE, stream
from orchestration.contracts.chunks import ItemResult
from orchestration.contracts.status import Failure, Status
from orchestration.errors.kinds import ADVICE, ErrorKind
from orchestration.processors.catalogue import get_processor
from tests.support.builders import START, MakeBatch, child_of, closed, start_root
from tests.support.streaming import streamed_content

ENDS = [
    (Status.FAILED, "ValidationError", "validation"),
    (Status.TIMED_OUT, "Timeout", "timeout"),
    (Status.CANCELED, "Canceled", "canceled"),
    (Status.TERMINATED, "Terminated", "terminated"),
    (Status.FAILED, "ItemsFailed", "items"),
    (Status.FAILED, "UnknownProcessor", "setup"),
    (Status.FAILED, "ServerError", "application"),
]


@pytest.mark.django_db
def test_api_and_download_have_the_kind_of_error(operator: User, make_batch: MakeBatch, client: Client) -> None:
    batch = make_batch(len(ENDS))
    start_root(batch)
    for place, (outcome, error_type, _) in enumerate(ENDS):
        failure = Failure(error_type, "what happened")
        apply_events(batch.pk, [closed(child_of(batch, place), outcome, failure=failure)])
    headers = {"Authorization": f"Bearer {create_token(operator, 'test')}"}
    nodes = client.get(f"/api/v1/batches/{batch.pk}/nodes?kind=child", headers=headers).json()["results"]
    kinds = [node["error"]["kind"] for node in sorted(nodes, key=lambda node: node["position"])]
    assert kinds == [kind for _, _, kind in ENDS]
    assert set(ADVICE) == set(ErrorKind)


@pytest.mark.django_db
def test_a_download_has_every_item_with_its_result_or_error(
    operator: User, make_batch: MakeBatch, client: Client
) -> None:
    batch = make_batch(3)
    wrong = Failure("Timeout", "=cmd|' /C calc'!A0")
    results = [
        ItemResult(batch.pk, 0, "run", 0, 1, 0.5, result={"seconds": 1, "more": {"a": 1}}),
        ItemResult(batch.pk, 1, "run", 1, 3, 0.5, failure=wrong),
    ]
    DjangoChunkStore().write_results(results)
    client.force_login(operator)
    text = streamed_content(client.get(f"/batches/{batch.pk}/items.csv")).decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["status"] for row in rows] == ["completed", "failed", "pending"]
    assert rows[0]["result.more"] == '{"a": 1}'
    assert rows[0]["item.url"] == "https://example.org/0"
    assert (rows[1]["error_kind"], rows[1]["error_message"]) == ("timeout", f"'{wrong.message}")
    lines = streamed_content(client.get(f"/batches/{batch.pk}/items.jsonl?status=failed"))
    [failed] = [json.loads(line) for line in lines.splitlines()]
    assert (failed["key"], failed["error_message"]) == ("row-0001", wrong.message)


@pytest.mark.parametrize(
    ("value", "shown"), [("=1+1", "'=1+1"), (-5, -5), (None, ""), ("plain", "plain"), ([1], "[1]")]
)
def test_no_cell_is_a_formula(value: object, shown: object) -> None:
    assert cell(value) == shown


@pytest.mark.parametrize("mark", ["=", "+", "-", "@", "\t=", "\r=", "\n=", "\uff1d"])
def test_no_part_of_a_cell_is_a_formula_where_semicolons_or_lines_split_it(mark: str) -> None:
    assert shown_cell(f"{mark}A1") == f"'{shown_cell(f'{mark}A1')[1:]}"
    for separator in (";", "\t", "\n", "; "):
        assert f"{separator.strip(' ')}'" in shown_cell(f"x{separator}{mark.strip()}A1")
    assert shown_cell("a; b - c") == "a; b - c"


@pytest.mark.django_db
def test_a_name_of_a_column_is_no_formula_for_spreadsheets_and_comes_back_unchanged_for_launching(
    make_batch: MakeBatch,
) -> None:
    name = "=cmd|' /C calc'!A0"
    batch = make_batch(1)
    batch.items.update(data={name: "=1+1"}, status=NodeStatus.FAILED, result={name: 1})
    items = ExportedItems(batch.items.all())
    [header, row] = csv.reader(io.StringIO("".join(rejected_for_spreadsheets(items)).lstrip("\ufeff")))
    assert (header[0], row[0]) == (f"'{name}", "'=1+1")
    [header, _] = csv.reader(io.StringIO("".join(spreadsheet_lines(items, exported_columns(batch)))))
    assert not [each for each in header if each.startswith("=")]
    again = "".join(launch_again_csv(items)).encode()
    [(_, read)] = InputReader(Source(Format.CSV, lambda: io.BytesIO(again)), get_processor("simulate"))
    assert isinstance(read, InputRow)
    assert read.data == {name: "=1+1"}


@pytest.mark.django_db
def test_a_download_is_streamed_in_bounded_chunks(operator: User, make_batch: MakeBatch, client: Client) -> None:
    batch = make_batch(5_000, chunk_size=100)
    Item.objects.filter(batch=batch).update(finished_at=START + timedelta(seconds=1))
    client.force_login(operator)
    answer = client.get(f"/batches/{batch.pk}/items.csv")
    with pytest.warns(Warning, match="asynchronous iterators"):
        pieces = list(answer)
    assert b"".join(pieces).count(b"\n") == 5_001
    assert len(pieces) > 3
    assert max(map(len, pieces)) < 2 * PART_SIZE


@pytest.mark.django_db  # the thread may have a connection of another test
async def test_a_response_is_generated_while_it_is_streamed() -> None:
    made = list[int]()

    def parts() -> Iterator[bytes]:
        for number in range(100):
            made.append(number)
            yield b"x" * PART_SIZE

    sending = aiter(stream(parts(), "text/plain"))
    assert await anext(sending) == b"x" * PART_SIZE
    assert made == [0]
    assert len([part async for part in sending]) == 99


def _failing(after: int) -> Iterator[bytes]:
    for _ in range(after):
        yield b"x" * PART_SIZE
    raise ZeroDivisionError


@pytest.mark.django_db
async def test_a_first_part_that_fails_is_an_error_and_a_later_one_cuts_the_response() -> None:
    with pytest.raises(ZeroDivisionError):
        stream(_failing(0), "text/plain")
    sending = aiter(stream(_failing(2), "text/plain"))
    assert [await anext(sending), await anext(sending)] == [b"x" * PART_SIZE] * 2
    with pytest.raises(ZeroDivisionError):
        await anext(sending)


@pytest.mark.django_db(transaction=True)
def test_a_download_leaves_no_cursor_open_between_its_parts(operator: User, make_batch: MakeBatch) -> None:
    batch = make_batch(300, chunk_size=100)
    items = ExportedItems(batch.items.order_by("-index"))
    assert len(items) == 300
    reading = iter(items)
    first = next(reading)
    connection.close()
    assert [first.index, *(item.index for item in reading)] == list(range(299, -1, -1))
    reading = iter(items)
    next(reading)
    batch.items.filter(index__lt=5).delete()
    with pytest.raises(LookupError):
        list(reading)


@pytest.mark.django_db
def test_a_download_says_how_many_items_it_has(operator: User, make_batch: MakeBatch, client: Client) -> None:
    batch = make_batch(7)
    client.force_login(operator)
    assert client.get(f"/batches/{batch.pk}/items.csv")["Canopy-Items"] == "7"
    assert client.get(f"/batches/{batch.pk}/rejected.csv")["Canopy-Items"] == "0"
