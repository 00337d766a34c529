"""What a report says of errors."""

from __future__ import annotations

import pytest

from dashboard.chunk_store.reports import content_of
from dashboard.models import Item, NodeStatus
from orchestration.contracts.fan_out import SummariseInput
from orchestration.contracts.status import Counts, Status
from orchestration.errors.signatures import signature_of
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
