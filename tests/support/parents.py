"""What tests of parents share: a probe that fails, and what a run shows of holds, failures and times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from orchestration.contracts.events import EventKind
from orchestration.contracts.messages import Progress
from orchestration.workflows.fan_out import FanOutWorkflow
from tests.support.engine import Run
from tests.support.probe import Probe
from tests.support.waiting import until


def failing(*items: int) -> Probe:
    """Return a probe that fails some items."""
    probe = Probe()
    probe.fail = {str(index) for index in items}
    return probe


async def progress(run: Run) -> Progress:
    """Return what the root answers."""
    return await run.root.query(FanOutWorkflow.progress)


async def held(run: Run) -> Progress:
    """Wait until the batch is held."""

    async def is_held() -> Progress | None:
        found = await progress(run)
        return found if found.held else None

    found = await until(is_held, "the batch is held")
    assert found is not None
    return found


async def failure_of(run: Run) -> ApplicationError:
    """Return the error that the root ended with."""
    with pytest.raises(WorkflowFailureError) as raised:
        await run.result()
    assert isinstance(raised.value.cause, ApplicationError)
    return raised.value.cause


def times(run: Run, kind: EventKind) -> dict[str, Any]:
    """Return when events of a kind happened, by workflow id."""
    return {event.workflow_id: event.at for event in run.events(kind)}


async def first_event(run: Run, kind: EventKind) -> Any:
    """Wait for an event of a kind, and return it."""

    async def found() -> Sequence[Any]:
        return run.events(kind)

    return (await until(found, f"an event of kind {kind}"))[0]
