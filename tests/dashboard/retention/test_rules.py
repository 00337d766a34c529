"""Which batches are due, what a dry run says, and what time alone takes away."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from axes.models import AccessLog
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.files.base import ContentFile
from django.utils import timezone
from pytest_django import Settings

from dashboard.errors import FieldErrors
from dashboard.inputs.uploads import find_upload, store_upload
from dashboard.models import Batch, BatchTag, DeletedBatch, RetentionRule, Schedule, Upload
from dashboard.retention import changes, runs, weight
from dashboard.retention.rules import age_of, in_words
from tests.dashboard.retention.conftest import Ended

pytestmark = pytest.mark.django_db


@pytest.fixture
def rules(operator: User) -> list[RetentionRule]:
    """30 days for all, 90 for what failed, for ever with the tag audit, 2 days for labels with "try"."""
    return [
        changes.add_rule(operator, days=30),
        changes.add_rule(operator, days=90, outcome="completed_with_failures"),
        changes.add_rule(operator, days=None, tag="audit"),
        changes.add_rule(operator, days=2, label="Try"),
    ]


@pytest.mark.parametrize(
    ("days", "fields", "tag", "is_deleted"),
    [
        (31, {"status": "completed"}, "", True),
        (29, {"status": "completed"}, "", False),
        (31, {}, "", False),
        (91, {}, "", True),
        (5_000, {}, "audit", False),
        (3, {"label": "a try", "status": "completed"}, "", False),
    ],
)
def test_of_the_rules_that_fit_the_one_that_keeps_longest_counts(
    rules: list[RetentionRule], ended: Ended, days: float, fields: dict[str, Any], tag: str, is_deleted: bool
) -> None:
    batch = ended(days, **fields)
    if tag:
        BatchTag.objects.create(batch=batch, name=tag)
    said = runs.preview()
    assert said.total.batches == is_deleted
    assert runs.prune("test").batches == is_deleted
    assert Batch.everything.filter(pk=batch.pk).exists() is not is_deleted


def test_everything_is_kept_until_somebody_says_otherwise(ended: Ended, settings: Settings) -> None:
    ended(10_000)
    assert runs.prune("test").batches == 0
    settings.CANOPY_RETENTION_DAYS = 400
    assert runs.prune("test").batches == 1


def test_a_short_rule_for_a_processor_goes_with_a_default_for_all_others(
    ended: Ended, operator: User, settings: Settings
) -> None:
    settings.CANOPY_RETENTION_DAYS = 90
    changes.add_rule(operator, days=2, processor="simulate")
    ended(3)
    other = ended(3, processor="http_request")
    assert runs.prune("test").batches == 1
    assert Batch.objects.get().pk == other.pk


def test_what_is_asked_for_takes_the_place_of_the_default_and_overrides_no_rule(ended: Ended, operator: User) -> None:
    changes.add_rule(operator, days=None, outcome="failed")
    ended(2)
    kept = ended(2, status="failed")
    assert runs.prune("test", age_of("1d")).batches == 1
    assert DeletedBatch.objects.get().rule == "older than 1d, as asked for"
    assert Batch.objects.get().pk == kept.pk


def test_a_dry_run_says_what_the_run_then_deletes_and_deletes_nothing(ended: Ended, operator: User) -> None:
    changes.add_rule(operator, days=1)
    ended(2), ended(3), ended(0)
    said = runs.preview()
    assert Batch.objects.count() == 3
    assert list(said.by_rule) == ["all batches: 1 days"]
    done = runs.prune("test")
    assert (done.batches, done.bytes) == (said.total.batches, said.total.bytes) == (2, done.bytes)
    assert said.total.rows == sum(each.rows for each in DeletedBatch.objects.all()) == 2 * 8
    assert 2_000 < said.total.bytes < 40_000


@pytest.mark.parametrize("given", [{"days": 0}, {"days": -1}, {"days": 36_501}, {"days": 1, "outcome": "running"}])
def test_a_rule_that_makes_no_sense_is_refused(operator: User, given: dict[str, Any]) -> None:
    with pytest.raises(FieldErrors):
        changes.add_rule(operator, **given)
    changes.add_rule(operator, days=3, tag="a")
    with pytest.raises(FieldErrors):
        changes.add_rule(operator, days=4, tag="a")


@pytest.mark.parametrize("typed", ["30d", "12h", "45m", "90s", "0s", "7d"])
def test_ages_are_read_as_they_are_written(typed: str) -> None:
    assert in_words(age_of(typed)) == typed


@pytest.mark.parametrize("typed", ["", "d", "-1d", "1w", "1.5d", "9" * 30 + "d", "１d"])
def test_what_is_no_age_is_refused(typed: str) -> None:
    with pytest.raises(ValueError):
        age_of(typed)


def test_an_upload_goes_once_nothing_refers_to_it(ended: Ended, operator: User) -> None:
    def upload(text: bytes) -> Upload:
        return store_upload(operator, "items.csv", ContentFile(text))

    used, shared, scheduled, named, fresh, loose = (upload(bytes([65 + number])) for number in range(6))
    Upload.objects.exclude(pk=fresh.pk).update(uploaded_at=timezone.now() - timedelta(days=8))
    ended(2, source={"upload": used.pk})
    ended(2, source={"upload": shared.pk})
    ended(0, source={"upload": shared.pk})
    ended(0, parameters={"table": {"upload": named.pk}})
    request = {"processor": "simulate"}
    Schedule.objects.create(name="s", request=request, item_count=0, upload=scheduled, made_by=operator)
    Schedule.objects.create(
        name="gone", request=request, item_count=0, upload=loose, made_by=operator, deleted_at=timezone.now()
    )
    assert runs.preview(timedelta(days=1)).others == {"uploads": 1}
    done = runs.prune("test", timedelta(days=1))
    assert done.others == {"uploads": 2}
    assert not Upload.objects.filter(pk__in=[used.pk, loose.pk]).exists()
    assert not used.file.storage.exists(str(used.file.name))
    assert all(find_upload(each.pk) is not None for each in (shared, scheduled, named, fresh))


def test_an_upload_that_is_given_again_is_as_new(operator: User) -> None:
    upload = store_upload(operator, "items.csv", ContentFile(b"a"))
    Upload.objects.update(uploaded_at=timezone.now() - timedelta(days=8))
    assert store_upload(operator, "items.csv", ContentFile(b"a")).pk == upload.pk
    assert runs.prune("test").others == {}


def test_old_sessions_and_log_ins_go_and_others_stay(settings: Settings) -> None:
    now = timezone.now()
    for number, left in enumerate((-1, 1)):
        Session.objects.create(session_key=str(number), session_data="x", expire_date=now + timedelta(days=left))
    for age in (settings.CANOPY_TRAIL_DAYS + 1, 1):
        AccessLog.objects.create(username="olga")
        newest = AccessLog.objects.latest("pk")
        AccessLog.objects.filter(pk=newest.pk).update(attempt_time=now - timedelta(days=age))
    assert runs.prune("test").others == {"sessions": 1, "log-ins": 1}
    assert (Session.objects.count(), AccessLog.objects.count()) == (1, 1)


def test_a_batch_weighs_what_its_rows_do(ended: Ended) -> None:
    batch = ended()
    light = weight.weight_of(batch)
    batch.items.update(result={"text": "x" * 10_000})
    heavy = weight.weight_of(batch)
    assert (light.rows, heavy.rows) == (8, 8)
    assert heavy.results - light.results == pytest.approx(20_000, rel=0.1)
    assert weight.database_bytes() > heavy.bytes
