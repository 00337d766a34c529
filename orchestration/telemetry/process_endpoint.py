"""The endpoint of a process: /livez, /readyz, /healthz and /metrics, on a port of its own.

It answers from its own threads: /livez and /metrics also while the event loop stands still, which /livez tells.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import TimeoutError as LateError
from typing import Any, TypeVar

from orchestration.telemetry import registry, worker_metrics
from orchestration.telemetry.checks import DRAINING, WITHIN, Check, Found, answer, find_all
from orchestration.telemetry.endpoint import Answer, Endpoint, host_and_ports
from orchestration.telemetry.pulse import FROZEN_AFTER, LoopPulse

T = TypeVar("T")

LOOP_SLACK = 0.15
"""Seconds beyond the checks that the event loop has for taking them up."""

STANDS_STILL = "The event loop does not answer."


ADDRESSES = ("CANOPY_WORKER_HTTP", "CANOPY_METRICS")
"""Variables of the environment with the address of a worker process, and of a web process; without them, nowhere."""

Checks = Callable[[], Sequence[Check]]


def check_addresses() -> None:
    """Raise ValueError where the environment has an address that is none."""
    for name in ADDRESSES:
        if given := os.environ.get(name):
            host_and_ports(given, name)


class ProcessEndpoint:
    """Serves an address in the running event loop's process.

    `needed` tells what /readyz looks at, unless the process `is_draining`; `wanted` what /healthz does, by default the
    same. Before /metrics is answered, `refresh` is awaited in the loop.
    """

    def __init__(
        self,
        host: str,
        ports: Sequence[int],
        needed: Checks,
        wanted: Checks | None = None,
        refresh: Callable[[], Awaitable[None]] | None = None,
        is_draining: Callable[[], bool] = lambda: False,
    ) -> None:
        self._is_draining = is_draining
        self._loop, self._needed, self._wanted = asyncio.get_running_loop(), needed, wanted or needed
        self._refresh, self.pulse = refresh, LoopPulse()
        worker_metrics.loop_silence.set_function(lambda: self.pulse.silence)
        routes = {"/livez": self._live, "/readyz": self._ready, "/healthz": self._health, "/metrics": self._metrics}
        self.endpoint = Endpoint(host, ports, routes)
        self._beating = self._loop.create_task(self.pulse.beat_until_canceled())
        self.endpoint.start()

    @classmethod
    def of_environment(
        cls,
        variable: str,
        needed: Checks,
        wanted: Checks | None = None,
        refresh: Callable[[], Awaitable[None]] | None = None,
        is_draining: Callable[[], bool] = lambda: False,
    ) -> ProcessEndpoint | None:
        """Return the one whose address a variable has; None where it has none. Raises ValueError."""
        given = os.environ.get(variable, "")
        return cls(*host_and_ports(given, variable), needed, wanted, refresh, is_draining) if given else None

    def close(self) -> None:
        """Listen no more."""
        self._beating.cancel()
        self.endpoint.stop()

    def _live(self) -> Answer:
        silence = self.pulse.silence
        if not self.pulse.is_frozen:
            return Answer.json(200, {"status": "ok", "silence": round(silence, 1)})
        why = f"The event loop has not run for {silence:.0f} s; more than {FROZEN_AFTER:g} s count as frozen."
        return Answer.json(503, {"status": "frozen", "error": why, "silence": round(silence, 1)})

    def _ready(self) -> Answer:
        return Answer.json(503, DRAINING) if self._is_draining() else self._answer(self._needed)

    def _health(self) -> Answer:
        return self._answer(self._wanted)

    def _answer(self, checks: Checks) -> Answer:
        found = self._in_loop(find_all(checks()))
        return Answer.json(*answer({"loop": Found(ok=False, error=STANDS_STILL)} if found is None else found))

    def _in_loop(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Return what work in the event loop comes to, None where that has not done it in time."""
        try:
            asked = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:  # it has been closed
            work.close()
            return None
        try:
            return asked.result(WITHIN + LOOP_SLACK)
        except LateError:
            asked.cancel()
            return None

    async def _look(self) -> None:
        """Have what metrics say of neighbours be true now."""
        refresh = self._refresh() if self._refresh is not None else asyncio.sleep(0)
        await asyncio.gather(find_all(self._wanted()), refresh)

    def _metrics(self) -> Answer:
        self._in_loop(self._look())
        return Answer(200, registry.CONTENT_TYPE, registry.metrics_text())
