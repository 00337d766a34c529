"""The oracle of a campaign, in a process with the deployment's settings: `python -m tests.faults.judge STORY`.

The story is a JSON file with the faults and the batches that were launched; what is printed is a JSON `Verdict`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import django

from tests.faults.ledger import BEGUN, DONE, LEDGER

CONTINUED = "CONTINUED_AS_NEW"
KEYED_BY_STEP = ("sagas", "services", "steps")
"""Kinds whose idempotency keys name a step, and not an item of the batch."""

ROUNDING = 0.05
"""Seconds by which clocks of rows and of the ledger differ."""


@dataclass
class Verdict:
    """What is wrong, by kind of fault with each case in words, and what was counted."""

    wrong: dict[str, list[str]] = field(default_factory=dict)
    batches: int = 0
    items: int = 0
    again: int = 0
    completed_at: list[float] = field(default_factory=list)


def run_too_often(lines: Iterable[Mapping[str, Any]], faults: Iterable[Mapping[str, Any]]) -> tuple[list[str], int]:
    """Return which items were done more often than faults explain, and how often items were done again in all.

    An item may be done once more for each fault between its first beginning and its last end.
    """
    begun, done = dict[tuple[str, str], float](), defaultdict[tuple[str, str], list[float]](list)
    for line in lines:
        name = line["item"], line["stage"]
        if line["event"] == BEGUN:
            begun.setdefault(name, line["at"])
        elif line["event"] == DONE:
            done[name].append(line["at"])
    times = [(each["at"], each["healed"]) for each in faults]
    wrong = list[str]()
    for name, ends in done.items():
        explained = sum(at <= max(ends) and healed >= begun.get(name, 0.0) for at, healed in times)
        if len(ends) > 1 + explained:
            wrong.append(f"{name}: done {len(ends)} times, {explained} faults meanwhile")
    return wrong, sum(len(ends) - 1 for ends in done.values())


def _begun_late(lines: Iterable[Mapping[str, Any]], recorded: Mapping[str, float]) -> list[str]:
    """Return which items were begun once more after their completion was recorded: {idempotency key: when}."""
    late = (
        line for line in lines if line["event"] == BEGUN and line["at"] > recorded.get(line["item"], 1e12) + ROUNDING
    )
    return [f"{line['item']} {line['stage']}: {line['at'] - recorded[line['item']]:.2f} s later" for line in late]


async def _in_temporal(batch: str) -> dict[str, str]:
    """Return the newest status of each workflow of a batch."""
    from temporalio.client import Client

    client = await Client.connect(os.environ["TEMPORAL_ADDRESS"])
    newest = dict[str, tuple[Any, str]]()
    async for run in client.list_workflows(f'RootWorkflowId = "batch-{batch}"'):
        assert run.status is not None
        if run.status.name != CONTINUED and (run.id not in newest or run.start_time > newest[run.id][0]):
            newest[run.id] = run.start_time, run.status.name.lower()
    return {name: status for name, (_, status) in newest.items()}


def _judge(batch: Any, known: Mapping[str, Any] | None, wrong: dict[str, list[str]]) -> None:
    """Hold a batch's rows against each other and against Temporal."""
    from dashboard.models import Item
    from tests.support.oracle import differences

    for found in differences(batch.pk, asyncio.run(_in_temporal(batch.pk))):
        wrong["rows differ from Temporal, or among each other"].append(f"{batch.pk} {known and known['kind']}: {found}")
    if batch.is_open:
        wrong["batches that did not end"].append(f"{batch.pk} is {batch.status}")
    if known is None or known["action"]:
        return
    counts = Counter(Item.objects.filter(batch=batch).values_list("status", flat=True))
    if unfinished := {status: number for status, number in counts.items() if status != "completed"}:
        wrong["items without a result"].append(f"{batch.pk} {known['kind']}: {unfinished}")
    if batch.status != "completed":
        wrong["batches that did not complete"].append(f"{batch.pk} {known['kind']} is {batch.status}")


def _judge_all(story: Mapping[str, Any], lines: list[dict[str, Any]]) -> Verdict:
    from dashboard.models import Batch, Item

    wrong, launched = defaultdict[str, list[str]](list), story["batches"]
    batches = list(Batch.objects.order_by("pk"))
    for batch in batches:
        _judge(batch, launched.get(batch.pk), wrong)
        if batch.pk not in launched and batch.schedule_id is None:
            wrong["batches that nobody knows of"].append(batch.pk)
    missing = set(launched) - {batch.pk for batch in batches}
    wrong["batches that are gone"] += sorted(missing)
    completed = Item.objects.filter(status="completed").order_by("pk").values_list("batch_id", "index", "finished_at")
    recorded = {f"{batch}/{index}": at.timestamp() for batch, index, at in completed if at}
    done = {line["item"] for line in lines if line["event"] == DONE}
    by_item = {
        batch.pk for batch in batches if batch.pk not in launched or launched[batch.pk]["kind"] not in KEYED_BY_STEP
    }
    wrong["results without work"] += [name for name in recorded if name not in done and name.split("/")[0] in by_item]
    wrong["items begun after their completion was recorded"] += _begun_late(lines, recorded)
    too_often, again = run_too_often(lines, story["faults"])
    wrong["items done more often than faults explain"] += too_often
    return Verdict(dict(wrong), len(batches), Item.objects.count(), again, sorted(recorded.values()))


def main(path: str) -> None:
    """Print the verdict."""
    django.setup()
    text = Path(os.environ[LEDGER]).read_text() if Path(os.environ[LEDGER]).exists() else ""
    lines = [json.loads(line) for line in text.splitlines()]
    print(json.dumps(asdict(_judge_all(json.loads(Path(path).read_text()), lines))))


if __name__ == "__main__":
    main(sys.argv[1])
