"""What a report says of errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from dashboard.chunk_store.reports import content_of, write_report
from dashboard.models import Item, NodeStatus, Report
from orchestration.contracts.fan_out import SummariseInput
from orchestration.contracts.status import Counts, Status
from orchestration.errors.signatures import signature_of
from orchestration.processors import registry
from orchestration.processors.catalogue import get_processor
from tests.support.builders import MakeBatch

pytestmark = pytest.mark.django_db


def test_errors_are_grouped_by_signature_the_largest_group_first(make_batch: MakeBatch) -> None:
    batch = make_batch(4)
    errors = [
        ("Timeout", "host a.b.com:1"),
        ("NotFound", "order 17"),
        ("NotFound", "order 'x'"),
        ("NotFound", "order 18"),
    ]
    for index, (kind, message) in enumerate(errors):
        failed = {"error_type": kind, "error_message": message, "signature": signature_of(kind, message)}
        Item.objects.filter(batch=batch, index=index).update(status=NodeStatus.FAILED, **failed)
    groups = content_of(batch, SummariseInput(batch.pk, "run", Status.COMPLETED, "", Counts()))["errors"]
    keys = list(batch.items.order_by("index").values_list("key", flat=True))
    assert groups == [
        {"type": "NotFound", "number": 2, "sample": {"key": keys[1], "message": "order 17"}},
        {"type": "Timeout", "number": 1, "sample": {"key": keys[0], "message": "host a.b.com:1"}},
        {"type": "NotFound", "number": 1, "sample": {"key": keys[2], "message": "order 'x'"}},
    ]


class Wordless(Exception):
    """Its text raises."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


def _raises(error: BaseException) -> Callable[[Iterable[Any]], dict[str, Any]]:
    def report(results: Iterable[Any]) -> dict[str, Any]:
        raise error

    return report


@pytest.mark.parametrize(
    ("report", "summary"),
    [
        (lambda results: {"total": Decimal("1.5"), 2: float("nan")}, {"total": "1.5", "2": "nan"}),
        (_raises(SystemExit(3)), {"error": "SystemExit: 3"}),
        (_raises(Wordless()), {"error": "Wordless: Wordless"}),
        (lambda results: None, {"error": "AttributeError: 'NoneType' object has no attribute 'items'"}),
    ],
)
def test_whatever_a_processor_sums_up_or_raises_the_report_is_written(
    make_batch: MakeBatch, monkeypatch: pytest.MonkeyPatch, report: Any, summary: dict[str, Any]
) -> None:
    batch = make_batch(1)
    summing = replace(get_processor(batch.processor), report=report)
    monkeypatch.setitem(registry._processors, batch.processor, summing)
    write_report(SummariseInput(batch.pk, "run", Status.COMPLETED, "", Counts()))
    assert Report.objects.get(batch=batch).content["summary"] == summary


def test_a_result_that_is_no_json_is_an_error_in_the_report(
    make_batch: MakeBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = make_batch(1)
    summing = replace(get_processor(batch.processor), report=lambda results: {"what": object()})
    monkeypatch.setitem(registry._processors, batch.processor, summing)
    content = content_of(batch, SummariseInput(batch.pk, "run", Status.COMPLETED, "", Counts()))
    assert content["summary"]["error"].startswith("PydanticSerializationError: ")
