"""Processes of a deployment that a campaign may kill, freeze and start again."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from tests.support.stack import Process
from tests.support.waiting import wait_until

LOOK_EVERY = 1.0
"""Seconds from the end of a process until it is noticed and started again."""


class Part:
    """A process of a deployment, which is started again when it ends by itself: systemd's Restart=always."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        env: Mapping[str, str],
        is_up: Callable[[], bool] | None = None,
    ) -> None:
        self.name, self.unasked, self._log, self.started_at = name, list[float](), log, 0
        self._process, self._is_up, self._lock, self._is_wanted = (
            Process(command, log, env),
            is_up,
            threading.RLock(),
            False,
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def log(self) -> str:
        """What it has written."""
        return self._process.output

    def start(self) -> None:
        """Start it, once more where it ends again, as PostgreSQL does as long as its former processes live."""
        with self._lock:
            self._is_wanted = True
            self.started_at = len(self.log) if self._log.exists() else 0
            self._process.start()
            if self._is_up is not None:
                wait_until(self._comes_up, lambda: f"{self.name} is up: {self._process.output[-2_000:]}")

    def _comes_up(self) -> bool:
        if not self._process.is_running:
            self._process.start()
        assert self._is_up is not None
        return self._is_up()

    def kill(self, how: int = signal.SIGKILL) -> None:
        """End it as a crash would; it stays away until it is started."""
        with self._lock:
            self._is_wanted = False
            self._send(how, self._family() if how == signal.SIGKILL else self._family()[:1])
            if self._process.is_running:
                self._process.kill()

    def stop(self) -> float:
        """End it as an operator would, and return how many seconds that took."""
        with self._lock:
            self._is_wanted = False
            self.thaw()
            began = time.monotonic()
            self._process.stop()
            return time.monotonic() - began

    def freeze(self) -> None:
        """Stop it where it stands, with all that it has started."""
        self._send(signal.SIGSTOP, self._family())

    def thaw(self) -> None:
        """Let it go on."""
        self._send(signal.SIGCONT, self._family())

    def restart_if_ended(self) -> None:
        """Start it again if nobody asked for its end."""
        with self._lock:
            if self._is_wanted and not self._process.is_running:
                self.unasked.append(time.time())
                self._process.start()

    @property
    def memory(self) -> int:
        """Bytes that it has in memory, with all that it has started."""
        found = 0
        for each in self._family():
            with suppress(psutil.NoSuchProcess):
                found += each.memory_info().rss
        return found

    def _family(self) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess, AssertionError):
            own = psutil.Process(self._process.pid)
            return [own, *own.children(recursive=True)]
        return []

    @staticmethod
    def _send(number: int, processes: Iterable[psutil.Process]) -> None:
        for each in processes:
            with suppress(psutil.NoSuchProcess):
                each.send_signal(number)


class Keeper:
    """Starts parts again that have ended by themselves, in a thread. Used as a context."""

    def __init__(self, parts: Mapping[str, Part]) -> None:
        self._parts, self._ended = parts, threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)

    def __enter__(self) -> Keeper:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _keep(self) -> None:
        while not self._ended.wait(LOOK_EVERY):
            for part in list(self._parts.values()):
                part.restart_if_ended()
