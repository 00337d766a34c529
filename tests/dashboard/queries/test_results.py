"""The results of a batch: filters, order, charts and downloads, on the configured database."""

from __future__ import annotations

import io
import json
from typing import Any

import pyarrow.parquet
import pytest
from django.test import Client

from dashboard.chunk_store.store import DjangoChunkStore
from dashboard.models import Batch, Item
from dashboard.queries.charts import chart_of
from orchestration.contracts.chunks import ItemResult
from orchestration.contracts.status import Failure
from tests.support.builders import MakeBatch
from tests.support.streaming import streamed_content

pytestmark = pytest.mark.django_db

RESULTS: list[Any] = [
    {"city": "Köln", "degrees": 10.0, "wet": True, "tags": ["a"], "id": 2**70},
    {"city": "=1+1", "degrees": 9, "wet": False},
    {"city": "Bonn", "degrees": -3, "wet": True},
    {"city": "bonn am Rhein", "degrees": 100},
]


def finish(batch: Batch, results: list[Any]) -> None:
    """Write results of the first items, and a failure of the next."""
    written = [ItemResult(batch.pk, index, "run", index, 1, 0.5, result=each) for index, each in enumerate(results)]
    wrong = Failure("KeyError", "no city")
    failed = ItemResult(batch.pk, len(results), "run", len(results), 3, 0.5, failure=wrong)
    DjangoChunkStore().write_results([*written, failed])


@pytest.fixture
def batch(make_batch: MakeBatch) -> Batch:
    made = make_batch(6)
    finish(made, RESULTS)
    return made


def shown(client: Client, batch: Batch, **query: str) -> list[str]:
    """Return the keys of the rows that a query shows, without `row-000`."""
    page = client.get(f"/batches/{batch.pk}/results/", query).content.decode()
    rows = page.partition("<tbody>")[2].partition("</tbody>")[0].split("<tr ")[1:]
    return [row.partition("row-000")[2][0] for row in rows]


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ({}, "012345"),
        ({"q": "ROW-0003"}, "3"),
        ({"status": "failed"}, "4"),
        ({"status": "pending"}, "5"),
        ({"column": "city", "value": "bonn"}, "23"),
        ({"column": "city", "comparison": "is", "value": "Bonn"}, "2"),
        ({"column": "city", "comparison": "is not", "value": "Bonn"}, "013"),
        ({"column": "degrees", "comparison": "is", "value": "10"}, "0"),
        ({"column": "degrees", "comparison": "at least", "value": "9.5"}, "03"),
        ({"column": "degrees", "comparison": "at most", "value": "9"}, "12"),
        ({"column": "wet", "comparison": "is", "value": "true"}, "02"),
        ({"column": "nope", "value": "x"}, ""),
        ({"column": "city", "value": "%' OR 1=1 --"}, ""),
        ({"sort": "-key"}, "543210"),
        ({"sort": "result.degrees", "status": "completed"}, "2103"),
        ({"sort": "-result.degrees", "status": "completed"}, "3012"),
        ({"sort": "nonsense"}, "012345"),
    ],
)
def test_any_column_filters_and_sorts(logged_in: Client, batch: Batch, query: dict[str, str], keys: str) -> None:
    assert "".join(shown(logged_in, batch, **query)) == keys


def test_a_comparison_with_an_invalid_number_is_an_error(logged_in: Client, batch: Batch) -> None:
    query = {"column": "degrees", "comparison": "at least", "value": "warm"}
    page = logged_in.get(f"/batches/{batch.pk}/results/", query).content.decode()
    assert "“at least” needs a number, not &#x27;warm&#x27;." in page


def test_plain_values_are_one_column(logged_in: Client, make_batch: MakeBatch) -> None:
    batch = make_batch(4)
    finish(batch, [10, 9, 100])
    assert shown(logged_in, batch, sort="-result.value", status="completed") == ["2", "0", "1"]
    assert shown(logged_in, batch, column="value", comparison="at least", value="10") == ["0", "2"]
    assert shown(logged_in, batch, column="value", comparison="is", value="9") == ["1"]
    assert shown(logged_in, batch, column="value", value="10") == ["0", "2"]
    text = streamed_content(logged_in.get(f"/batches/{batch.pk}/items.csv")).decode()
    assert text.splitlines()[1].endswith(",10")


def test_an_empty_batch_an_unknown_one_and_a_stranger(
    logged_in: Client, visitor: Client, make_batch: MakeBatch
) -> None:
    nothing_done = make_batch(2)
    assert shown(logged_in, nothing_done) == ["0", "1"]
    Item.objects.all().delete()
    assert "This batch has no items" in logged_in.get(f"/batches/{nothing_done.pk}/results/").content.decode()
    assert logged_in.get("/batches/nope/results/").status_code == 404
    logged_in.logout()
    assert visitor.get(f"/batches/{nothing_done.pk}/results/").status_code == 302


def test_the_result_of_a_query_is_downloaded_as_parquet(logged_in: Client, batch: Batch) -> None:
    answer = logged_in.get(f"/batches/{batch.pk}/items.parquet")
    table = pyarrow.parquet.read_table(io.BytesIO(streamed_content(answer)))
    kinds = {field.name: str(field.type) for field in table.schema}
    assert (kinds["result.degrees"], kinds["result.wet"], kinds["result.city"]) == ("double", "bool", "string")
    rows = table.to_pylist()
    assert [row["result.degrees"] for row in rows] == [10.0, 9.0, -3.0, 100.0, None, None]
    assert rows[0]["result.tags"] == '["a"]'
    assert rows[0]["result.id"] == str(2**70)
    assert rows[1]["result.city"] == "=1+1"
    assert (rows[4]["error_type"], rows[4]["status"]) == ("KeyError", "failed")
    query = {"column": "degrees", "comparison": "at least", "value": "9.5"}
    lines = streamed_content(logged_in.get(f"/batches/{batch.pk}/items.jsonl", query))
    assert [json.loads(line)["index"] for line in lines.splitlines()] == [0, 3]


def test_charts_have_bins_of_numbers_and_bars_of_other_values() -> None:
    bins = chart_of("n", [0, 1, 2, 3, 20, 20, None])
    assert bins is not None
    assert (bins.is_histogram, bins.of, bins.least, bins.most) == (True, 6, "0", "20")
    assert [bar.number for bar in bins.bars] == [1, 1, 1, 1, *[0] * 15, 2]
    same = chart_of("n", [7, 7])
    assert same is not None
    assert [(bar.label, bar.number) for bar in same.bars] == [("7", 2)]
    words = chart_of("w", [f"word {number // 2}" for number in range(40)])
    assert words is not None
    assert (words.is_histogram, len(words.bars), words.others) == (False, 12, 16)
    assert words.is_informative
    different = chart_of("key", ["a", "b", "c"])
    assert different is not None
    assert not different.is_informative
    assert chart_of("x", [None, {"a": 1}]) is None
