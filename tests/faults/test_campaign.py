"""A short campaign: parts of a deployment are restarted, then each is killed, while batches of all kinds run."""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.campaign import Action, Campaign, Fault
from tests.faults.deployment import Deployment
from tests.faults.judge import run_too_often

SEED = 11


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that others may enter."""
    path = Path(tempfile.mkdtemp(prefix="canopy-campaign-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.mark.slow
def test_nothing_is_lost_or_done_twice_while_each_part_of_a_deployment_is_restarted_and_killed(home: Path) -> None:
    chance = random.Random(SEED)
    rolls = [Fault(name, Action.ROLL, after=0, lasts=0) for name in ("web1", "worker1")]
    targets = chance.sample(["web1", "worker1", "temporal", "redis", "postgres"], 5)
    faults = [Fault(target, Action.KILL, after=chance.uniform(1, 4), lasts=chance.uniform(0, 2)) for target in targets]
    with Deployment(home, has_links=False) as deployment:
        campaign = Campaign(deployment, SEED, most_open=3, items=(30, 60))
        campaign.run(iter(rolls + faults), time.monotonic() + 600)
        verdict = campaign.verdict()
    assert len(campaign.faults) == 7
    assert campaign.refused_while_rolling() == []
    assert {name: cases for name, cases in verdict["wrong"].items() if cases} == {}
    assert verdict["items"] >= 30
    assert campaign.seen.errors == []
    assert campaign.seen.messages > 0


def test_an_item_may_be_done_once_more_for_each_fault_that_it_met() -> None:
    def line(event: str, at: float) -> dict[str, object]:
        return {"event": event, "at": at, "item": "b/1", "stage": ""}

    twice = [line("begun", 1), line("begun", 6), line("done", 7), line("done", 8)]
    met, before, later = ({"at": at, "healed": at + 1} for at in (4, -5, 9))
    assert run_too_often(twice, [met]) == ([], 1)
    assert run_too_often(twice, [before, later]) == (["('b/1', ''): done 2 times, 0 faults meanwhile"], 1)
