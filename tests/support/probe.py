"""A processor that does as a test says, and records how it was called."""

from __future__ import annotations

import asyncio
import secrets
from collections import defaultdict
from typing import Any

from pydantic import BaseModel, ConfigDict

from orchestration.processors.processor import ItemContext
from orchestration.processors.registry import processor


class ProbeError(Exception):
    """What a probed item raises where its probe says so."""


class ProbeItem(BaseModel):
    """Only the key matters."""

    model_config = ConfigDict(extra="allow")


class ProbeParameters(BaseModel):
    """Which probe says what the items do."""

    probe: str


class ProbeResult(BaseModel):
    """How often the item has been called."""

    calls: int


class Probe:
    """What a test has its items do (`fail` by key, `gate` to hold them), and what they did."""

    all: dict[str, Probe] = {}

    def __init__(self) -> None:
        self.name = secrets.token_hex(4)
        self.fail: set[str] = set()
        self.hold: set[str] = set()
        self.invalid: set[str] = set()
        self.hold_once: set[str] = set()
        self.ignores_cancel = False
        self.released = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.calls: dict[str, int] = defaultdict(int)
        self.given: dict[str, dict[str, Any]] = {}
        self.idempotency: dict[str, set[str]] = defaultdict(set)
        self.undone: dict[str, int] = defaultdict(int)
        self.fail_undo: set[str] = set()
        self.torn_page: int | None = None
        self.saga: dict[str, Any] | None = None
        self.saga_data: dict[str, Any] = {}
        self.delegate: dict[str, Any] | None = None
        self.running = 0
        self.most = 0
        Probe.all[self.name] = self


async def undo_probe(item: ProbeItem, parameters: ProbeParameters, result: Any, context: ItemContext) -> None:
    """Undo, or fail to, as the probe says."""
    chosen = Probe.all[parameters.probe]
    chosen.undone[context.key] += 1
    if context.key in chosen.fail_undo:
        raise ProbeError(f"{context.key} cannot be undone.")


async def _await_gate(chosen: Probe) -> None:
    while True:
        try:
            await chosen.gate.wait()
        except asyncio.CancelledError:
            if not chosen.ignores_cancel:
                raise
        else:
            return


@processor(own_loop=False, name="probe", title="Probe", summary="For tests.", compensation=undo_probe)
async def probe(item: ProbeItem, parameters: ProbeParameters, context: ItemContext) -> ProbeResult:
    """Do as the probe says."""
    chosen = Probe.all[parameters.probe]
    chosen.calls[context.key] += 1
    chosen.given[context.key] = item.model_dump()
    chosen.idempotency[context.key].add(context.idempotency_key)
    chosen.running += 1
    chosen.most = max(chosen.most, chosen.running)
    try:
        await _await_gate(chosen)
        if context.key in chosen.hold_once:
            await chosen.released.wait()
        if context.key in chosen.hold:
            await asyncio.Event().wait()
        await asyncio.sleep(0)
    finally:
        chosen.running -= 1
    if context.key in chosen.invalid:
        ProbeParameters.model_validate({})
    if context.key in chosen.fail:
        raise ProbeError(f"{context.key} was told to fail.")
    return ProbeResult(calls=chosen.calls[context.key])
