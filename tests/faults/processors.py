"""Part "processors": processors that do whatever can go wrong run beside other batches for as long as is asked for.

Held: the worker comes back whenever it was ended, the other batches keep half of the speed that they have in quiet
windows of the same run, no page and no route of the API answers 500, and every item has a result or an error.

On a machine without time to spare six batches are half as fast as three, whatever they do. So there are also windows in
which as many batches without a fault run in the place of the chaotic ones: what the faults alone cost.
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
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from tests.benchmarks.report import Figure
from tests.faults.chaos import FOLDER
from tests.faults.observed import Dashboard, Observed
from tests.faults.windows import Kind, Window, described, lengths, rate, rates, standstills
from tests.support.running import Run
from tests.support.waiting import wait_until

BESIDE: dict[Kind, tuple[str, ...]] = {
    Kind.QUIET: (),
    Kind.TAME: ("tame_async", "tame_plain", "tame_many"),
    Kind.FAULTS: ("chaos_async", "chaos_plain", "chaos_many"),
}
"""What runs beside the steady batches in each kind of windows."""

STEADY: dict[str, dict[str, Any]] = {
    "steady_async": {},
    "steady_plain": {},
    "simulate": {
        "parameters": {"seconds_from": 0.2, "seconds_to": 0.2},
        "plan": {"chunk_size": 5, "window": 2, "item_concurrency": 1},
    },
}
ITEMS = 60
WARM_UP = 15.0
"""Seconds before the first window: the first batches of a process load code and fill caches."""

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
    with ThreadPoolExecutor(max(1, len(loops))) as threads:
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
    """Return a loop that launches a batch whenever the last one has ended, and ends with one."""

    def loop(stop: threading.Event) -> None:
        while not stop.is_set():
            batch = dashboard.launch(processor, number, options)
            while not dashboard.has_ended(batch):
                time.sleep(0.5)

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


class Trial:
    """One run of the part, in a home of its own."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._folder = Path(tempfile.mkdtemp(prefix="canopy-faults-"))
        environment = {"CANOPY_PROCESSORS": "tests.faults.chaos", FOLDER: str(self._folder)}
        self._completed: dict[str, list[float]] = {name: [] for name in STEADY}
        self._run, self._observed = Run(self._folder / "home", environment=environment), Observed()

    def figures(self) -> list[Figure]:
        """Do it, and return what was measured."""
        self._run.start()
        try:
            wait_until(lambda: self._run.health == 200, "all is well", 120)
            self._dashboard = Dashboard(self._run, self._observed)
            windows = self._windows()
            _say("Waiting for the last batches.")
            return [*self._outcomes(), *self._survival(), *self._shares(windows)]
        finally:
            self._run.process.stop()
            _say(f"Logs: {self._run.home / 'logs'}")

    def _windows(self) -> list[Window]:
        """Launch the steady batches all the time, and others beside them, in turn. A window ends before those do."""
        steady = [_launching(self._dashboard, name, options, ITEMS) for name, options in STEADY.items()]
        windows, until = list[Window](), time.monotonic() + self._seconds
        with _beside(*steady, _looking(self._dashboard, self._run, self._observed)):
            self._pass(WARM_UP)
            while time.monotonic() < until:
                windows += [self._window(kind, seconds) for kind, seconds in lengths(self._seconds).items()]
        return windows

    def _window(self, kind: Kind, seconds: float) -> Window:
        with _beside(*(_launching(self._dashboard, name, {}, ITEMS) for name in BESIDE[kind])):
            started = time.time()
            self._pass(seconds)
            return Window(kind, started, time.time())

    def _pass(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(60.0, left))
            _say(self._progress())

    def _progress(self) -> str:
        counts = Counter(self._observed.batches.values())
        return f"{dict(counts)}; answers {dict(self._observed.answers)}; ends {len(self._ends())}"

    def _ends(self) -> dict[float, str]:
        """Return when the worker was ended, and how."""
        ends = self._folder / "ends"
        lines = ends.read_text().splitlines() if ends.exists() else []
        return {float(at): how for at, how in (line.split(maxsplit=1) for line in lines)}

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
                elif processor in STEADY and not error:
                    self._completed[processor].append(datetime.fromisoformat(item["finished_at"]).timestamp())
                elif processor in STEADY:
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
        _say(f"Ends of the worker: {dict(Counter(ends.values()))}; {len(observed.processes)} worker processes seen.")
        _say(f"The worker's most memory: {observed.most_memory / 2**20:,.0f} MB. Answers: {dict(observed.answers)}.")
        return [
            Figure("answers of 500 and more, but 503", len(observed.bad), 0, f"of {observed.answers.total():,}"),
            Figure("slowest answer (s)", observed.slowest, 30, "of a page or the API"),
            Figure("ends of the worker's process", len(ends), 1, "by os._exit or for its memory", is_floor=True),
            Figure("worker is back at the end", float(is_back), 1, "1 is yes", is_floor=True),
        ]

    def _shares(self, windows: list[Window]) -> list[Figure]:
        """Compare the rates of the steady batches in all kinds of windows."""
        for name, times in self._completed.items():
            found = ", ".join(f"{kind} {each:.2f}" for kind, each in rates(windows, times).items())
            gaps = described(standstills(self._ends(), times))
            _say(f"{name}, items a second: {found}; nothing after an end for {gaps}.")
        every = [at for times in self._completed.values() for at in times]
        for window in windows:
            _say(f"  {window.kind} for {window.seconds:.0f} s: {rate([window], every):.2f} items a second")
        return [self._share(Kind.QUIET, rates(windows, every)), self._share(Kind.TAME, rates(windows, every))]

    def _share(self, kind: Kind, found: dict[Kind, float]) -> Figure:
        beside, other = found[Kind.FAULTS], found[kind]
        detail = f"{beside:.2f} of {other:.2f} items/s, {os.getloadavg()[0]:.1f} load"
        name = f"speed of the other batches, share of {kind} windows"
        return Figure(name, beside / other if other else 0.0, 0.5, detail, is_floor=True)


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def measure(seconds: float) -> list[Figure]:
    """Run the part for some seconds, beside the time that it takes to start and to end, and return its figures."""
    return Trial(seconds).figures()
