"""canopy prune: a dry run and a run, for people and for scripts."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from dashboard.cli.prune import RUNNING, prune
from dashboard.cli.refusal import Refused
from dashboard.models import Batch, PruneRun
from tests.dashboard.retention.conftest import Ended, ended

pytestmark = pytest.mark.django_db

__all__ = ["ended"]  # a fixture


def test_a_dry_run_says_by_rule_what_the_run_then_deletes(ended: Ended, capsys: pytest.CaptureFixture[str]) -> None:
    ended(3)
    prune(dry_run=True, older_than="2d", as_json=True)
    said = json.loads(capsys.readouterr().out)
    assert (said["batches"], said["rows"], list(said["by_rule"])) == (1, 8, ["older than 2d, as asked for"])
    prune(dry_run=True, older_than="2d")
    assert "would be deleted in all" in capsys.readouterr().out
    assert Batch.objects.count() == 1
    prune(older_than="2d", as_json=True)
    done = json.loads(capsys.readouterr().out)
    assert (done["batches"], done["bytes"]) == (1, said["bytes"])
    assert not Batch.everything.exists()


def test_without_a_rule_nothing_is_deleted(ended: Ended, capsys: pytest.CaptureFixture[str]) -> None:
    ended(3_000)
    prune()
    assert "0 batches" in capsys.readouterr().out
    assert Batch.objects.count() == 1


def test_an_age_that_cannot_be_read_and_another_run_are_refused() -> None:
    with pytest.raises(Refused) as refused:
        prune(older_than="soon")
    assert refused.value.exit_status == 2
    PruneRun.objects.create(started_by="another", seen_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(Refused) as refused:
        prune()
    assert refused.value.exit_status == RUNNING
