"""Launches of a processor with a second stage: one pipeline of both, and one batch for one idempotency key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from dashboard.inputs.rows import InputRow
from dashboard.launching.launch import launch
from dashboard.launching.request import IdempotencyConflict, LaunchRequest
from dashboard.launching.two_stage import pipeline_of
from dashboard.models import Batch, DefinitionVersion
from dashboard.temporal import gateway
from orchestration.definitions.models import Takes
from orchestration.definitions.parser import parse
from orchestration.plan.choices import OnThreshold
from orchestration.plan.plan import Plan
from orchestration.processors.catalogue import get_processor, processors


@pytest.fixture(autouse=True)
def temporal_unavailable(settings: Settings) -> Iterator[None]:
    """Point at a port that nothing listens on."""
    settings.TEMPORAL_ADDRESS = "127.0.0.1:1"
    gateway.cache_clear()
    yield
    gateway.cache_clear()


def import_of(plan: Plan, names: tuple[str, ...] = ("ada", "bob"), key: str | None = None) -> LaunchRequest:
    """Return the launch of a CSV import."""
    rows = [InputRow(name, {"name": name}) for name in names]
    parameters = {"columns": {"name": "text"}, "connection": "SHOP", "table": "people", "key": "name"}
    return LaunchRequest(
        "csv_import", parameters, plan, len(rows), lambda: iter(rows), ",".join(names), idempotency_key=key
    )


@pytest.mark.parametrize(
    "plan", [Plan(), Plan(chunk_size=1, item_attempts=1, failure_policy="fail_fast", on_threshold="roll_back")]
)
def test_the_stored_text_is_the_pipeline_that_runs(operator: User, plan: Plan) -> None:
    request = import_of(plan)
    pipeline = pipeline_of(get_processor("csv_import"), request)
    batch = launch(operator, request).batch

    assert batch.definition is not None
    assert parse(batch.definition.text, processors()) == pipeline
    first, second = pipeline.stages
    assert (first.plan.chunk_size, first.plan.on_threshold) == (plan.chunk_size, OnThreshold.STOP)
    assert (second.plan, second.takes) == (plan, Takes.RESULT)


def test_the_same_key_gives_the_same_batch_and_writes_nothing(operator: User) -> None:
    batch = launch(operator, import_of(Plan(), key="night")).batch
    again = launch(operator, import_of(Plan(), key="night"))

    assert (again.batch.pk, again.created) == (batch.pk, False)
    with pytest.raises(IdempotencyConflict):
        launch(operator, import_of(Plan(window=7), ("eve",), key="night"))
    assert DefinitionVersion.objects.count() == Batch.objects.count() == 1


def test_the_fingerprint_of_the_pipeline_still_finds_its_batch(operator: User) -> None:
    request = import_of(Plan(), key="night")
    batch = launch(operator, request).batch
    of_pipeline = replace(request, processor="pipeline", definition=batch.definition_id)
    Batch.objects.filter(pk=batch.pk).update(fingerprint=of_pipeline.fingerprint)

    assert launch(operator, request).batch.pk == batch.pk
    with pytest.raises(IdempotencyConflict):
        launch(operator, import_of(Plan(window=7), key="night"))
