"""Diagnosis of an async processor that blocks its event loop: found while it does, with its place in the code."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from orchestration.contracts.workflow_ids import root_id
from orchestration.diagnosis.findings import Finding, FindingCode
from orchestration.processors import registry
from orchestration.processors.catalogue import get_processor
from orchestration.processors.processor import ItemContext
from tests.support.engine import Engine
from tests.support.probe import ProbeItem, ProbeParameters, ProbeResult
from tests.support.waiting import until


async def test_an_async_processor_that_blocks_its_event_loop(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    async def blocks(item: ProbeItem, parameters: ProbeParameters, context: ItemContext) -> ProbeResult:
        released.wait(60)
        return ProbeResult(calls=1)

    blocking = replace(get_processor("probe"), name="blocks", function=blocks, own_loop=True)
    monkeypatch.setitem(registry._processors, "probe", blocking)
    run = await engine.launch(1, item_attempts=1)

    async def finding() -> Finding | None:
        found = await engine.gateway.diagnose(run.id, "")
        return next((each for each in found if each.code is FindingCode.LOOP_BLOCKED), None)

    try:
        found = await until(finding, "the diagnosis names it")
        assert found is not None
        assert found.detail.startswith("0: blocks its event loop at test_blocked_loops.py:")
    finally:
        released.set()
        await engine.gateway.terminate(root_id(run.id), "test")
