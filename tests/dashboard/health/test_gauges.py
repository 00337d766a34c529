"""Metrics that are read when somebody asks: of open batches, with two queries however many children they have."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from dashboard.health.gauges import READ_EVERY, OpenBatches, open_batches
from dashboard.models import Batch, BatchStatus
from dashboard.queries.home import STUCK_AFTER
from orchestration.telemetry.registry import REGISTRY
from tests.deployment.test_alerts import ALERTS, rules
from tests.support.builders import MakeBatch

pytestmark = pytest.mark.django_db


def values(gauges: OpenBatches) -> dict[str, float]:
    """Return the values by name and label."""
    return {
        f"{sample.name}{''.join(sample.labels.values()) and '/' + '/'.join(sample.labels.values())}": sample.value
        for family in gauges.collect()
        for sample in family.samples
    }


def labels_of(labels: Mapping[str, str]) -> str:
    """Return labels as Prometheus writes them."""
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}"


def test_open_batches_and_their_children_are_told_by_status(
    make_batch: MakeBatch, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    now = timezone.now()
    running, held, done = make_batch(5), make_batch(3), make_batch(7)
    Batch.objects.filter(pk=running.pk).update(status=BatchStatus.RUNNING, changed_at=now - 2 * STUCK_AFTER)
    Batch.objects.filter(pk=running.pk).update(children_pending=2, children_running=2, children_failed=1)
    Batch.objects.filter(pk=held.pk).update(status=BatchStatus.HELD, unattended=True, start_error="Refused.")
    Batch.objects.filter(pk=done.pk).update(status=BatchStatus.COMPLETED)
    gauges = OpenBatches()
    with django_assert_num_queries(3):
        gauges._refresh()
    found = values(gauges)
    assert {name: found[f"canopy_batches_open/{name}"] for name in ("pending", "running", "held", "paused")} == {
        "pending": 0,
        "running": 1,
        "held": 1,
        "paused": 0,
    }
    assert found["canopy_children/pending"] == 2 + 3
    assert (found["canopy_children/running"], found["canopy_children/failed"]) == (2, 1)
    reasons = ("held", "stuck", "blocked", "unattended", "not_started")
    assert [found[f"canopy_batches_waiting/{reason}"] for reason in reasons] == [1, 1, 0, 1, 1]
    assert found["canopy_batches_oldest_change_seconds"] >= timedelta(minutes=10).total_seconds()


def test_a_batch_that_does_not_move_fires_the_alert_that_is_for_it(make_batch: MakeBatch, tmp_path: Path) -> None:
    """With the series as they are exported; where there is no promtool, their names and labels are held elsewhere."""
    stuck = make_batch(5)
    changed = timezone.now() - STUCK_AFTER - timedelta(seconds=1)
    Batch.objects.filter(pk=stuck.pk).update(status=BatchStatus.SCHEDULED, changed_at=changed)
    gauges = OpenBatches()
    gauges._refresh()
    series = [
        {"series": sample.name + labels_of(sample.labels), "values": f"{sample.value:g}x20"}
        for family in gauges.collect()
        for sample in family.samples
    ]
    assert {"series": 'canopy_batches_waiting{reason="stuck"}', "values": "1x20"} in series
    rule = next(each for each in rules() if each["alert"] == "CanopyBatchStuck")
    notes = rule["annotations"] | {"summary": "1 batches do not move: stuck"}
    fired = {"exp_labels": rule["labels"] | {"reason": "stuck"}, "exp_annotations": notes}
    expected = [
        {"eval_time": "4m", "alertname": rule["alert"], "exp_alerts": []},
        {"eval_time": "6m", "alertname": rule["alert"], "exp_alerts": [fired]},
    ]
    told = {"interval": "30s", "input_series": series, "alert_rule_test": expected}
    (tmp_path / "told.yml").write_text(yaml.safe_dump({"rule_files": [str(ALERTS)], "tests": [told]}))
    if promtool := shutil.which("promtool"):
        ended = subprocess.run([promtool, "test", "rules", tmp_path / "told.yml"], capture_output=True, text=True)
        assert ended.returncode == 0, ended.stdout + ended.stderr


def test_they_are_in_the_registry_and_say_nothing_before_they_are_read() -> None:
    assert open_batches in REGISTRY._collector_to_names
    assert values(OpenBatches()) == {}
    assert READ_EVERY >= 5
