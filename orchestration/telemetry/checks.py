"""Checks of a process's neighbours: all at once, each within a bound, none of them twice at a time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from prometheus_client import Gauge

from orchestration.telemetry.registry import REGISTRY

log = logging.getLogger(__name__)

WITHIN = 0.8
"""Seconds that a check may take: probes give up after one."""

NO_ANSWER = f"No answer within {WITHIN:g} s."

up = Gauge(
    "canopy_neighbour_up",
    "1 where what the process needs has answered the last check, else 0.",
    ["neighbour"],
    registry=REGISTRY,
)
check_seconds = Gauge(
    "canopy_neighbour_check_seconds",
    "Seconds that the last check of a neighbour took; a check is cut off after 0.8.",
    ["neighbour"],
    registry=REGISTRY,
)


class Failed(Exception):
    """A check has failed; the message is for anybody, and names no host. `more` are further facts."""

    def __init__(self, message: str, **more: Any) -> None:
        super().__init__(message)
        self.more = more


@dataclass(frozen=True)
class Found:
    """What a check has found. `more` are further facts for the answer."""

    ok: bool
    error: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return it as a part of an answer."""
        return {"ok": self.ok, "error": self.error, **self.more}


Look = Callable[[], Awaitable[Mapping[str, Any] | None]]
"""Returns further facts, if any. Raises Failed with what is to be told; any other error is told as `otherwise`."""


class Check:
    """One neighbour. A look that takes longer than WITHIN goes on, and the next answer waits for that same one."""

    def __init__(self, name: str, look: Look, otherwise: str, facts: Mapping[str, Any] | None = None) -> None:
        """Take `otherwise`, which is said where `look` fails by itself, and the `facts` of one that found none."""
        self.name, self._look, self._otherwise, self._facts = name, look, otherwise, facts or {}
        self._looking: asyncio.Task[Found] | None = None
        self._was_ok = True

    async def find(self) -> Found:
        """Return what there is to find within WITHIN seconds. Raises nothing."""
        began = time.monotonic()
        if self._looking is None or self._looking.done() or self._looking.get_loop() is not asyncio.get_running_loop():
            self._looking = asyncio.create_task(self._found())
        done, _ = await asyncio.wait({self._looking}, timeout=WITHIN)
        found = self._looking.result() if done else Found(ok=False, error=NO_ANSWER)
        found = replace(found, more={**self._facts, **found.more})
        up.labels(self.name).set(found.ok)
        check_seconds.labels(self.name).set(time.monotonic() - began)
        if found.ok != self._was_ok:
            self._was_ok = found.ok
            log.warning("Check of %s: %s", self.name, "it is well again." if found.ok else found.error)
        return found

    async def _found(self) -> Found:
        try:
            return Found(ok=True, more=await self._look() or {})
        except Failed as error:
            return Found(ok=False, error=str(error), more=error.more)
        except Exception as error:
            log.debug("Check of %s failed.", self.name, exc_info=error)
            return Found(ok=False, error=self._otherwise)


DRAINING = {
    "status": "draining",
    "detail": "This process has been asked to stop: it finishes what it has begun. Send it nothing new.",
}
"""The JSON for a load balancer, with 503, while a process ends in good order."""


async def find_all(checks: Sequence[Check]) -> dict[str, Found]:
    """Return what each check finds, by name, within WITHIN seconds."""
    found = await asyncio.gather(*(check.find() for check in checks))
    return {check.name: each for check, each in zip(checks, found, strict=True)}


def answer(found: Mapping[str, Found]) -> tuple[int, dict[str, Any]]:
    """Return the HTTP status and the JSON for what was found: 503 where something fails."""
    failing = [name for name, each in found.items() if not each.ok]
    state: dict[str, Any] = {"status": "unavailable" if failing else "ok"}
    if failing:
        state["failing"] = failing
    return (503 if failing else 200), state | {name: each.as_json() for name, each in found.items()}
