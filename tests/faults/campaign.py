"""Part "campaign": the parts of a deployment are killed, frozen, cut off, or have no disk left, while batches run.

Held: every item has one result, its side effect happened once, and once more at most for each fault that it met,
tallies, rows and Temporal say the same, nothing is stuck, no page and no route answers 500.
"""

from __future__ import annotations

import json
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from tests.benchmarks.report import Figure
from tests.faults import disks
from tests.faults.deployment import NEIGHBOURS, REMOTE, WEBS, WORKERS, Deployment
from tests.faults.onlookers import Onlookers, Seen
from tests.faults.windows import standstills
from tests.faults.workload import Workload
from tests.support.environment import ROOT
from tests.support.waiting import wait_until

SEED = 7
BETWEEN = (1.0, 6.0)
"""Seconds from one fault to the next, from and to."""

MOST_OPEN = 5
ITEMS = (60, 220)
"""Of a batch, from and to."""

END_WITHIN = 900.0
LAST_LOOK = 12.0
"""Seconds for the reconciler's last look, once every batch has ended."""

AGAIN_PER_FAULT = 8
"""Items done once more than recorded, for each fault: those at work and not yet written down."""


class Action(StrEnum):
    """What happens to a part."""

    KILL = "killed"
    FREEZE = "frozen"
    CUT = "cut off"
    FILL = "disk full"
    ROLL = "restarted in good order"


DOWN = {Action.KILL: (0.0, 8.0), Action.FREEZE: (2.0, 20.0), Action.CUT: (2.0, 20.0), Action.FILL: (2.0, 8.0)}
"""Seconds that a fault lasts, from and to."""

SHARES = {Action.KILL: 0.6, Action.FREEZE: 0.2, Action.CUT: 0.15, Action.FILL: 0.05}


@dataclass
class Fault:
    """What happens to which part, after how many seconds and for how long; then when it began and was mended."""

    target: str
    action: Action
    after: float
    lasts: float
    at: float = 0.0
    healed: float = 0.0


def drawn(seed: int, with_disks: Collection[str] = ()) -> Iterator[Fault]:
    """Yield faults without end: in each round every part meets one, in another order.

    `with_disks`: those that may have no disk left.
    """
    chance = random.Random(seed)
    while True:
        targets = [*WEBS, *WORKERS, REMOTE, *NEIGHBOURS]
        for target in chance.sample(targets, len(targets)):
            possible = [each for each in SHARES if each is not Action.FILL or target in with_disks]
            [action] = chance.choices(possible, [SHARES[each] for each in possible])
            yield Fault(target, action, chance.uniform(*BETWEEN), chance.uniform(*DOWN[action]))


class Campaign:
    """One run of faults against a deployment with a workload and onlookers."""

    def __init__(
        self, deployment: Deployment, seed: int = SEED, *, most_open: int = MOST_OPEN, items: tuple[int, int] = ITEMS
    ) -> None:
        self._deployment, self.faults = deployment, list[Fault]()
        self.workload = Workload(deployment, seed, most_open, items)
        newest: Callable[[], Sequence[str]] = lambda: list(self.workload.batches)[-6:]  # noqa: E731
        self._onlookers = Onlookers(deployment, newest, self.workload.over)

    @property
    def seen(self) -> Seen:
        """What onlookers saw."""
        return self._onlookers.seen

    def run(self, faults: Iterator[Fault], until: float) -> None:
        """Cause faults until a time (of time.monotonic), then wait until every batch has ended."""
        self.workload.prepare()
        with self._beside(self.workload.launch, self.workload.operate, self._onlookers.poll, self._onlookers.watch):
            wait_until(lambda: len(self.workload.batches) >= 2, "batches run")
            for fault in faults:
                if time.monotonic() > until:
                    break
                time.sleep(fault.after)
                self._cause(fault)
            self.workload.close()
            self.workload.launches_over.set()
            say("no more faults; what is open goes on")
            wait_until(lambda: not self.workload.open, self._describe_open, END_WITHIN)
            time.sleep(LAST_LOOK)
        for batch, each in self.workload.batches.items():
            say(f"{batch} {each.kind}: {each.items} items, {each.ended - each.at:.1f} s, {each.action or each.status}")

    @contextmanager
    def _beside(self, *loops: Callable[[], None]) -> Iterator[None]:
        with ThreadPoolExecutor(len(loops)) as threads:
            running = [threads.submit(loop) for loop in loops]
            try:
                yield
            finally:
                self.workload.launches_over.set()
                self.workload.over.set()
            for each in running:
                each.result()

    def refused_while_rolling(self) -> list[str]:
        """Return the answers of 5xx that onlookers got while a part was restarted in good order."""
        rolls = [fault for fault in self.faults if fault.action is Action.ROLL]
        return [said for at, said in self.seen.refused if any(roll.at <= at <= roll.healed for roll in rolls)]

    def _describe_open(self) -> str:
        return f"all end: {[(each, asdict(self.workload.batches[each])) for each in self.workload.open]}"

    def _cause(self, fault: Fault) -> None:
        deployment, name = self._deployment, fault.target
        part, fault.at = deployment.parts[name], time.time()
        if fault.action is Action.KILL:
            part.kill(signal.SIGKILL)
            time.sleep(fault.lasts)
            part.start()
        elif fault.action is Action.FREEZE:
            part.freeze()
            time.sleep(fault.lasts)
            part.thaw()
        elif fault.action is Action.CUT:
            deployment.cut(name, is_open=False)
            time.sleep(fault.lasts)
            deployment.cut(name, is_open=True)
        elif fault.action is Action.ROLL:
            part.stop()
            part.start()
            wait_until(lambda: deployment.is_ready(name), lambda: f"{name} is ready: {part.log[-2_000:]}")
        else:
            deployment.disks[name].fill()
            time.sleep(fault.lasts)
            deployment.disks[name].free()
        fault.healed = time.time()
        self.faults.append(fault)
        open_, done = len(self.workload.open), len(self.workload.batches)
        say(f"{len(self.faults)}: {name} {fault.action}, {fault.lasts:.1f} s; {done} batches, {open_} open")

    def verdict(self) -> dict[str, Any]:
        """Return what the oracle says: see `judge.Verdict`."""
        story = self._deployment.home / "story.json"
        batches = {batch: asdict(known) for batch, known in self.workload.batches.items()}
        story.write_text(json.dumps({"faults": [asdict(fault) for fault in self.faults], "batches": batches}))
        command = [sys.executable, "-m", "tests.faults.judge", str(story)]
        env = self._deployment.environment("web1", is_linked=False)
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found


def say(text: str) -> None:
    """Print a line with the time."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def figures(campaign: Campaign, deployment: Deployment, least: int) -> list[Figure]:
    """Return what came of a campaign, and its bounds."""
    verdict, faults, seen = campaign.verdict(), campaign.faults, campaign.seen
    wrong = {name: cases for name, cases in verdict["wrong"].items() if cases}
    for name, cases in wrong.items():
        for case in cases[:10]:
            say(f"  ! {name}: {case}")
    for name, case in Counter(seen.errors).most_common(10):
        say(f"  ! {case} times: {name}")
    say(f"Answers: {dict(seen.answers)}; to the operator: {dict(campaign.workload.answers)}")
    kinds = Counter(f"{fault.target} {fault.action}" for fault in faults)
    say(f"Faults: {dict(kinds)}; batches: {dict(Counter(each.kind for each in campaign.workload.batches.values()))}")
    say(
        f"Ended by themselves: { {name: len(part.unasked) for name, part in deployment.parts.items() if part.unasked} }"
    )
    recovered = standstills([fault.healed for fault in faults], verdict["completed_at"]) or [0.0]
    for found, fault in sorted(zip(recovered, faults, strict=False), key=lambda each: -each[0])[:5]:
        say(f"  {found:.1f} s after {fault.target} was {fault.action} for {fault.lasts:.1f} s")
    detail = f"of {verdict['items']:,} in {verdict['batches']} batches"
    return [
        Figure("faults", len(faults), least, f"{dict(Counter(str(fault.action) for fault in faults))}", is_floor=True),
        Figure("cases that the oracle found wrong", sum(map(len, wrong.values())), 0, "; ".join(wrong) or "none"),
        Figure("items done once more, for each fault", verdict["again"] / max(1, len(faults)), AGAIN_PER_FAULT, detail),
        Figure("answers of 500", len(seen.errors), 0, f"of {sum(seen.answers.values()):,}"),
        Figure("recovery: first result after a fault, median in s", statistics.median(recovered), 10),
        Figure("recovery: longest in s", max(recovered), 60),
        Figure("longest silence of a websocket in s", max(seen.gaps, default=0.0), 60, f"{seen.messages:,} messages"),
    ]


def measure(seconds: float) -> list[Figure]:
    """Run a campaign for some seconds, and return what came of it."""
    home = Path(tempfile.mkdtemp(prefix="canopy-campaign-"))
    say(f"Everything is below {home}")
    with Deployment(home, has_disks=disks.are_to_be_had()) as deployment:
        campaign = Campaign(deployment)
        campaign.run(drawn(SEED, deployment.disks), time.monotonic() + seconds)
        return figures(campaign, deployment, int(seconds / 3_600 * 100))
