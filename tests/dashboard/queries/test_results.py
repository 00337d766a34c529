"""The results of a batch: filters, order, charts and downloads, on the configured database."""

from __future__ import annotations

import io
import json
import random
from typing import Any

import pyarrow.parquet
import pytest
from django.test import Client
from django.utils.html import escape

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


MIXED: list[Any] = [1, 2, 10, "2", "abc", None, True, "", [1], "9.50"]
LARGE: list[Any] = [3544790567247868102, 3544790567247868103, 2**70, 2**70 + 1, 0.1, -5]
NESTED: list[Any] = [[1, 2], {"bb": "x, y", "a": [1e22]}, 1e22, -0.0, {"a": None}]
DECIMALS: list[Any] = ["1.1", "1.10", "-2", "10.00", "9.5", "1E+2"]


@pytest.mark.parametrize("name", ["v", "value"])
@pytest.mark.parametrize(
    ("values", "query", "keys"),
    [
        (MIXED, {"comparison": "at least", "value": "2"}, "12"),
        (MIXED, {"comparison": "at most", "value": "2"}, "01"),
        (MIXED, {"comparison": "is", "value": "2"}, "13"),
        (MIXED, {"comparison": "is", "value": "9.5"}, ""),
        (MIXED, {"sort": True}, "0127394685"),
        (LARGE, {"comparison": "is", "value": "3544790567247868102"}, "0"),
        (LARGE, {"comparison": "at least", "value": "3544790567247868103"}, "123"),
        (LARGE, {"comparison": "is", "value": str(2**70)}, "2"),
        (LARGE, {"comparison": "is not", "value": "0.10"}, "01235"),
        (LARGE, {"sort": True}, "540123"),
        (DECIMALS, {"comparison": "is", "value": "1.1"}, "01"),
        (DECIMALS, {"comparison": "at least", "value": "9.5"}, "345"),
        (DECIMALS, {"sort": True}, "201435"),
        (NESTED, {"comparison": "is", "value": "[1, 2]"}, "0"),
        (NESTED, {"comparison": "is", "value": '{"a": [10000000000000000000000], "bb": "x, y"}'}, "1"),
        (NESTED, {"comparison": "contains", "value": "0000000"}, "12"),
        (NESTED, {"comparison": "is", "value": "-0"}, "3"),
    ],
)
def test_numbers_are_compared_as_exact_numbers_and_text_as_text(
    logged_in: Client, make_batch: MakeBatch, name: str, values: list[Any], query: dict[str, Any], keys: str
) -> None:
    made = make_batch(len(values) + 1)
    finish(made, [{name: value} for value in values] if name != "value" else values)
    query = {"sort": f"result.{name}"} if "sort" in query else {"column": name, **query}
    assert "".join(shown(logged_in, made, status="completed", **query)) == keys


@pytest.mark.parametrize("name", ["2024", 'a "quote"', "back\\slash", "Größe", "per%cent"])
def test_a_column_of_any_name_filters_and_sorts(logged_in: Client, make_batch: MakeBatch, name: str) -> None:
    made = make_batch(4)
    finish(made, [{name: 10}, {name: 9}, {name: 100}])
    assert shown(logged_in, made, status="completed", sort=f"-result.{name}") == ["2", "0", "1"]
    assert shown(logged_in, made, column=name, comparison="is", value="9.0") == ["1"]
    assert shown(logged_in, made, column=name, value="10") == ["0", "2"]


@pytest.mark.parametrize("text", ["größe-zÜ", "GRÖSSE"[:3], "ИРЭ", "é%", "ô_"])
def test_text_is_found_whatever_its_case(logged_in: Client, make_batch: MakeBatch, text: str) -> None:
    batch = make_batch(4)
    for index, key in enumerate(["GRÖßE-Zü", "ирЭ", "É%x", "xÔ_"]):
        Item.objects.filter(batch=batch, index=index).update(key=key)
    finish(batch, [{"city": key} for key in batch.items.order_by("index").values_list("key", flat=True)])
    expected = [key for key in ("GRÖßE-Zü", "ирЭ", "É%x", "xÔ_") if text.lower() in key.lower()]
    assert len(expected) == 1
    for query in ({"q": text}, {"column": "city", "value": text}):
        answer = logged_in.get(f"/batches/{batch.pk}/items.jsonl", query)
        assert [json.loads(line)["key"] for line in streamed_content(answer).splitlines()] == expected


def test_keys_are_in_natural_order(logged_in: Client, make_batch: MakeBatch) -> None:
    batch = make_batch(7)
    keys = ["10", "2", "row-10", "row-9", "row-09b", "1", "row"]
    for index, key in enumerate(keys):
        Item.objects.filter(batch=batch, index=index).update(key=key)
    lines = streamed_content(logged_in.get(f"/batches/{batch.pk}/items.jsonl?sort=key")).splitlines()
    assert [json.loads(line)["key"] for line in lines] == ["1", "2", "10", "row", "row-9", "row-09b", "row-10"]


@pytest.mark.parametrize(
    "query",
    [
        {"column": "degrees", "comparison": "at least", "value": "1,5"},
        {"column": "degrees", "comparison": "at most", "value": "nan"},
        {"column": "degrees", "comparison": "above", "value": "1"},
        {"status": "complete"},
        {"value": "Bonn"},
    ],
)
def test_an_invalid_filter_chooses_no_rows(logged_in: Client, batch: Batch, query: dict[str, str]) -> None:
    answer = logged_in.get(f"/batches/{batch.pk}/items.csv", query)
    assert answer.status_code == 400
    page = logged_in.get(f"/batches/{batch.pk}/results/", query).content.decode()
    assert escape(answer.content.decode()) in page
    assert shown(logged_in, batch, **query) == []


def test_what_is_too_large_for_a_row_is_shown_on_demand(logged_in: Client, make_batch: MakeBatch) -> None:
    batch = make_batch(4)
    results = [random.Random(1).randbytes(600_000).hex(), "y" * 5_000, {f"c{number}": number for number in range(500)}]
    finish(batch, results)
    page = logged_in.get(f"/batches/{batch.pk}/results/").content.decode()
    assert len(page) < 100_000
    assert "Too large for a row" in page
    assert "461 more columns" in page
    assert ">499<" in logged_in.get(f"/batches/{batch.pk}/results/?sort=result.c499").content.decode()
    lines = streamed_content(logged_in.get(f"/batches/{batch.pk}/items.jsonl")).splitlines()
    assert [json.loads(line)["result"] for line in lines][:3] == results


def test_a_column_that_only_a_late_or_large_result_has_is_downloaded(logged_in: Client, make_batch: MakeBatch) -> None:
    batch = make_batch(3)
    finish(batch, [{"a": 1}, {"b": random.Random(1).randbytes(600_000).hex()}])
    text = streamed_content(logged_in.get(f"/batches/{batch.pk}/items.csv")).decode()
    assert text.partition("\n")[0].strip().endswith("result.a,result.b")


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


def test_parquet_keeps_integers_exact_beside_floats(logged_in: Client, make_batch: MakeBatch) -> None:
    batch = make_batch(4)
    finish(batch, [{"a": 1, "b": 2**53 + 1, "c": 2**62 + 1}, {"a": 1.5, "b": 1.5, "c": 0}, {"a": None}])
    answer = logged_in.get(f"/batches/{batch.pk}/items.parquet")
    rows = pyarrow.parquet.read_table(io.BytesIO(streamed_content(answer))).to_pylist()
    assert [row["result.a"] for row in rows] == [1.0, 1.5, None, None]
    assert [row["result.b"] for row in rows] == [str(2**53 + 1), "1.5", None, None]
    assert [row["result.c"] for row in rows] == [2**62 + 1, 0, None, None]


@pytest.mark.parametrize("values", [[10**400, 1], [1.7e308, -1.7e308], [10**400], [2**70, 2**70 + 1], [5e-324, 0]])
def test_a_chart_spans_any_numbers(values: list[Any]) -> None:
    chart = chart_of("n", values)
    assert chart is not None
    assert sum(bar.number for bar in chart.bars) == len(values)


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
