"""simulate: takes time and fails as its parameters say, reproducibly. For trials and demonstrations."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from orchestration.processors.form_hints import ADVANCED, DURATION
from orchestration.processors.processor import ItemContext
from orchestration.processors.registry import processor


class SimulatedFailure(Exception):
    """A failure that the parameters ask for."""


class SimulateItem(BaseModel):
    """Any item: only its key matters."""

    model_config = ConfigDict(extra="allow")


class SimulateParameters(BaseModel):
    """How the simulated work behaves. Everything follows from seed and key."""

    model_config = ConfigDict(extra="forbid")

    seconds_from: float = Field(
        default=0.1,
        ge=0,
        le=3_600,
        title="Min duration",
        description="Shortest time an item takes.",
        json_schema_extra=DURATION,
    )
    seconds_to: float = Field(
        default=1.0,
        ge=0,
        le=3_600,
        title="Max duration",
        description="Longest time an item takes.",
        json_schema_extra=DURATION,
    )
    fail_percent: float = Field(
        default=0, ge=0, le=100, title="Failure rate (%)", description="Percent of the items that always fail."
    )
    fail_first_attempts: int = Field(
        default=0,
        ge=0,
        le=100,
        title="Initial failed attempts",
        description="Attempts of every item that fail before it succeeds.",
        json_schema_extra=ADVANCED,
    )
    seed: int = Field(
        default=1, title="Seed", description="Change the seed for a different run.", json_schema_extra=ADVANCED
    )
    undo_fail_percent: float = Field(
        default=0,
        ge=0,
        le=100,
        title="Rollback failure rate (%)",
        description="Percent of the rollbacks that fail.",
        json_schema_extra=ADVANCED,
    )
    result_bytes: int = Field(
        default=0,
        ge=0,
        le=100_000,
        title="Result size (bytes)",
        description="Size of each result.",
        json_schema_extra=ADVANCED,
    )

    @model_validator(mode="after")
    def _check_durations(self) -> Self:
        if self.seconds_from > self.seconds_to:
            raise ValueError("Min duration must not exceed max duration.")
        return self


class SimulateResult(BaseModel):
    """Duration in seconds, the attempt, and `data` of the size asked for."""

    seconds: float
    attempt: int
    data: str = ""


async def undo(item: SimulateItem, parameters: SimulateParameters, result: Any, context: ItemContext) -> None:
    """Take as long as the item took, then fail or not, as seed and key determine."""
    await asyncio.sleep(float(result["seconds"]))
    if _random_share(parameters.seed, context.key, "undo") * 100 < parameters.undo_fail_percent:
        raise SimulatedFailure("Simulated rollback failure.")


def estimate(parameters: SimulateParameters) -> float:
    """Return the mean duration of an item."""
    return (parameters.seconds_from + parameters.seconds_to) / 2


@processor(
    own_loop=False,
    name="simulate",
    title="Simulate",
    summary="Dry run without side effects: see a fan-out, a failure and a retry before you run anything real.",
    compensation=undo,
    estimate=estimate,
    icon="beaker",
    example="200",
    example_format="count",
)
async def simulate(item: SimulateItem, parameters: SimulateParameters, context: ItemContext) -> SimulateResult:
    """Take time, then fail or not, as seed and key determine."""
    span = parameters.seconds_to - parameters.seconds_from
    share = _random_share(parameters.seed, context.key, "seconds") if span else 0
    seconds = round(parameters.seconds_from + span * share, 3)
    if seconds:
        await _sleep(seconds, context)
    if context.attempt <= parameters.fail_first_attempts:
        raise SimulatedFailure(f"Simulated failure (fail_first_attempts: {parameters.fail_first_attempts}).")
    if parameters.fail_percent and _random_share(parameters.seed, context.key, "fails") * 100 < parameters.fail_percent:
        raise SimulatedFailure("Simulated failure.")
    return SimulateResult(seconds=seconds, attempt=context.attempt, data="x" * parameters.result_bytes)


async def _sleep(seconds: float, context: ItemContext) -> None:
    """Sleep, and report progress if that takes several seconds."""
    steps = max(1, int(seconds))
    for step in range(steps):
        if steps > 1:
            context.progress(step, steps, "steps")
        await asyncio.sleep(seconds / steps)


def _random_share(seed: int, key: str, purpose: str) -> float:
    """Return a pseudo-random number from 0 to 1 (exclusive), determined by seed, key and purpose."""
    digest = hashlib.sha256(f"{seed}:{purpose}:{key}".encode()).digest()
    return int.from_bytes(digest[:7]) / 2**56
