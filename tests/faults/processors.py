"""Part "processors": processors that do whatever can go wrong run beside other batches for as long as is asked for.

Held: the worker comes back whenever it was ended, the other batches keep half of their speed alone, no page and no
route of the API answers 500, and every item has a result or an error in the end.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from tests.benchmarks.report import Figure
from tests.faults.chaos import FOLDER
from tests.faults.observed import Dashboard, Observed
from tests.support.running import Run
from tests.support.waiting import wait_until

CHAOTIC = ("chaos_async", "chaos_plain", "chaos_many")
STEADY: dict[str, dict[str, Any]] = {
    "steady_async": {},
    "steady_plain": {},
    "simulate": {
        "parameters": {"seconds_from": 0.2, "seconds_to": 0.2},
        "plan": {"chunk_size": 5, "window": 2, "item_concurrency": 1},
    },
}
ITEMS = 60
ALONE_SECONDS = 45.0
END_WITHIN = 900.0
"""Seconds for the last batches to end, once no more are launched."""

PAGES = ("/", "/batches/", "/healthz", "/api/v1/processors")
PAGES_OF_A_BATCH = (
    "/api/v1/batches/{}/nodes?limit=50",
    "/batches/{}/",
    "/batches/{}/results/",
    "/batches/{}/errors/",
    "/batches/{}/diagnosis/",
)


@contextmanager
def _beside(*loops: Callable[[threading.Event], None]) -> Iterator[threading.Event]:
    """Run loops in threads until the block ends, then wait for them. Raises what they raise."""
    stop = threading.Event()
    with ThreadPoolExecutor(len(loops)) as threads:
        running = [threads.submit(loop, stop) for loop in loops]
        try:
            yield stop
        finally:
            stop.set()
        for each in running:
            each.result()


def _launching(
    dashboard: Dashboard, processor: str, options: dict[str, Any], number: int
) -> Callable[[threading.Event], None]:
    """Return a loop that launches a batch whenever the last one has ended."""

    def loop(stop: threading.Event) -> None:
        while not stop.is_set():
            batch = dashboard.launch(processor, number, options)
            while not stop.wait(0.5) and not dashboard.has_ended(batch):
                pass

    return loop


def _looking(dashboard: Dashboard, run: Run, observed: Observed) -> Callable[[threading.Event], None]:
    """Return a loop that looks at pages as people do, and at the worker's process."""

    def loop(stop: threading.Event) -> None:
        while not stop.wait(1):
            newest = list(observed.batches)[-6:]
            for path in (*PAGES, *(path.format(batch) for batch in newest[:2] for path in PAGES_OF_A_BATCH)):
                dashboard.ask(path)
            if worker := run.pid("worker"):
                observed.processes.add(worker)
                observed.most_memory = max(observed.most_memory, _memory(worker))

    return loop


def _memory(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _steady_done(dashboard: Dashboard, observed: Observed) -> int:
    """Return how many items of the steady batches have completed."""
    done = 0
    for batch in [batch for batch, processor in list(observed.batches.items()) if processor in STEADY]:
        known = observed.ended.get(batch)
        done += known if known is not None else int(dashboard.state(batch).get("items", {}).get("completed", 0))
    return done


class Trial:
    """One run of the part, in a home of its own."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._folder = Path(tempfile.mkdtemp(prefix="canopy-faults-"))
        environment = {"CANOPY_PROCESSORS": "tests.faults.chaos", FOLDER: str(self._folder)}
        self._run, self._observed = Run(self._folder / "home", environment=environment), Observed()

    def figures(self) -> list[Figure]:
        """Do it, and return what was measured."""
        self._run.start()
        try:
            wait_until(lambda: self._run.health == 200, "all is well", 120)
            self._dashboard = Dashboard(self._run, self._observed)
            before = self._speed(ALONE_SECONDS, ())
            _say(f"The steady batches alone: {before:.2f} items a second.")
            beside = self._speed(self._seconds, CHAOTIC)
            _say(f"Beside the chaotic ones: {beside:.2f} items a second. Waiting for the last batches.")
            figures = [*self._outcomes(), *self._survival()]
            after = self._speed(ALONE_SECONDS, ())
            _say(f"The steady batches alone again: {after:.2f} items a second.")
            return [*figures, self._share((before + after) / 2, beside)]
        finally:
            self._run.process.stop()
            _say(f"Logs: {self._run.home / 'logs'}")

    def _speed(self, seconds: float, chaotic: tuple[str, ...]) -> float:
        """Return how many items of the steady batches complete in a second, beside chaotic ones if there are any."""
        loops = [_launching(self._dashboard, name, options, ITEMS) for name, options in STEADY.items()]
        loops += [_launching(self._dashboard, name, {}, ITEMS) for name in chaotic]
        with _beside(*loops, _looking(self._dashboard, self._run, self._observed)):
            before, started = _steady_done(self._dashboard, self._observed), time.monotonic()
            while (left := started + seconds - time.monotonic()) > 0:
                time.sleep(min(60.0, left))
                _say(self._progress())
            done = _steady_done(self._dashboard, self._observed) - before
            return done / (time.monotonic() - started)

    def _progress(self) -> str:
        counts = Counter(self._observed.batches.values())
        return f"{dict(counts)}; answers {dict(self._observed.answers)}; ends {len(self._ends())}"

    def _ends(self) -> list[str]:
        ends = self._folder / "ends"
        return ends.read_text().splitlines() if ends.exists() else []

    def _outcomes(self) -> list[Figure]:
        """Wait for the last batches, and judge every item."""
        batches, dashboard = self._observed.batches, self._dashboard
        until = time.monotonic() + END_WITHIN
        late = [batch for batch in batches if not self._has_ended(batch, until)]
        kinds, without, steady_failed = Counter[str](), list[str](), list[str]()
        for batch, processor in batches.items():
            for item in dashboard.items(batch):
                error = item["error"]
                kinds[error["type"] if error else item["status"]] += 1
                if (item["status"], error is None) not in (("completed", True), ("failed", False)):
                    without.append(f"{batch} {item['key']}: {item['status']}, {error}")
                elif error and processor in STEADY:
                    steady_failed.append(f"{batch} {item['key']}: {error}")
        _say(f"Items by outcome: {dict(kinds.most_common())}")
        for line in (*late, *without[:20], *steady_failed[:20], *self._observed.bad[:20]):
            _say(f"  ! {line}")
        return [
            Figure("batches that did not end", len(late), 0, f"of {len(batches)}"),
            Figure("items without a result or an error", len(without), 0, f"of {kinds.total():,}"),
            Figure("failed items of the other batches", len(steady_failed), 0, "none raises anything"),
            Figure(
                "items that failed", kinds.total() - kinds["completed"], 1, f"{len(kinds) - 1} types", is_floor=True
            ),
        ]

    def _has_ended(self, batch: str, until: float) -> bool:
        try:
            wait_until(lambda: self._dashboard.has_ended(batch), batch, max(1.0, until - time.monotonic()))
        except AssertionError:
            return False
        return True

    def _survival(self) -> list[Figure]:
        observed, ends = self._observed, self._ends()
        wait_until(lambda: self._run.health in (200, 503), "the dashboard answers", 60)
        is_back = self._run.pid("worker") in psutil.pids() and self._run.health == 200
        _say(f"Ends of the worker: {dict(Counter(ends))}; {len(observed.processes)} worker processes seen.")
        _say(f"The worker's most memory: {observed.most_memory / 2**20:,.0f} MB. Answers: {dict(observed.answers)}.")
        return [
            Figure("answers of 500 and more, but 503", len(observed.bad), 0, f"of {observed.answers.total():,}"),
            Figure("slowest answer (s)", observed.slowest, 30, "of a page or the API"),
            Figure("ends of the worker's process", len(ends), 1, "by os._exit or for its memory", is_floor=True),
            Figure("worker is back at the end", float(is_back), 1, "1 is yes", is_floor=True),
        ]

    def _share(self, alone: float, beside: float) -> Figure:
        detail = f"{beside:.2f} of {alone:.2f} items/s, {os.getloadavg()[0]:.1f} load"
        return Figure("speed of the other batches, share of alone", beside / alone, 0.5, detail, is_floor=True)


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def measure(seconds: float) -> list[Figure]:
    """Run the part for some seconds, beside the time that it takes to start and to end, and return its figures."""
    return Trial(seconds).figures()
